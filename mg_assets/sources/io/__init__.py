"""Reading files: archives, delimited text and Parquet, and the columns, symbols, dates and times in them."""
