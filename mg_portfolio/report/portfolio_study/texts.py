"""Texts of the portfolio studies, in English and Chinese.

Titles, heads and labels are written in English in `tables`; `translated` gives them in Chinese, word by word.
"""

import re
from collections.abc import Iterable

REPORTS: dict[str, dict[str, str]] = {
    "en": {
        "haitong_88": "Haitong series 88 (2023), AI portfolios by index, limits and model",
        "huatai_72": "Huatai series 72 (2023-12-08), enhanced portfolios by turnover limit",
        "huatai_69": "Huatai series 69 (2023-08-22), portfolios of the attention models",
    },
    "zh": {
        "haitong_88": "海通系列八十八（2023），AI 增强组合：指数、约束与模型",
        "huatai_72": "华泰系列七十二（2023-12-08），指数增强组合：换手率约束",
        "huatai_69": "华泰系列六十九（2023-08-22），注意力模型的增强组合",
    },
}

_TITLES = {
    "haitong_88_table_8": "表 8：中证 500 组合超额，全市场选股",
    "haitong_88_table_9": "表 9：中证 500 组合超额，80% 成分股",
    "haitong_88_table_10": "表 10：中证 500 组合分年度（全市场、行业中性、个股 1%、输出集成、10 日）",
    "haitong_88_table_11": "表 11：中证 1000 组合超额，全市场选股",
    "haitong_88_table_12": "表 12：中证 1000 组合超额，80% 成分股",
    "haitong_88_table_13": "表 13：中证 1000 组合分年度（80% 成分股、行业中性、个股 1%、输出集成、10 日）",
    "huatai_72_chart_64": "图表 64：中证 500 组合绩效，按换手率约束",
    "huatai_72_chart_65": "图表 65：中证 500 组合逐年收益",
    "huatai_72_chart_67": "图表 67：中证 1000 组合绩效，按换手率约束",
    "huatai_72_chart_68": "图表 68：中证 1000 组合逐年收益",
    "huatai_69_chart_11": "图表 11：中证 500 组合，任务间与股票间注意力",
    "huatai_69_chart_23": "图表 23：中证 500 组合，时序注意力，原始约束",
    "huatai_69_chart_24": "图表 24：中证 500 组合，时序注意力，放宽约束",
    "huatai_69_chart_35": "图表 35：中证 500 组合，集成及其子模型",
}

CHART_TITLES: dict[str, dict[str, str]] = {
    "en": {
        "huatai_72_chart_63": "Chart 63: cumulative excess of the CSI500 portfolios",
        "huatai_72_chart_66": "Chart 66: cumulative excess of the CSI1000 portfolios",
        "huatai_69_chart_14": "Chart 14: information ratio of the multi-task portfolios",
        "huatai_69_chart_15": "Chart 15: Calmar ratio of their excess",
        "huatai_69_chart_19": "Chart 19: cumulative excess, 10-day prediction",
        "huatai_69_chart_20": "Chart 20: cumulative excess, 20-day prediction",
        "huatai_69_chart_21": "Chart 21: cumulative excess, both predictions",
        "huatai_69_chart_26": "Chart 26: portfolios of attention in time, original limits",
        "huatai_69_chart_28": "Chart 28: cumulative excess of attention in time, original limits",
        "huatai_69_chart_30": "Chart 30: portfolios of attention in time, relaxed limits",
        "huatai_69_chart_31": "Chart 31: cumulative excess of attention in time, relaxed limits",
        "huatai_69_chart_33": "Chart 33: correlations of the portfolios' daily excess returns",
        "huatai_69_chart_37": "Chart 37: cumulative excess of the ensemble and the baseline",
    },
    "zh": {
        "huatai_72_chart_63": "图表 63：中证 500 组合累计超额",
        "huatai_72_chart_66": "图表 66：中证 1000 组合累计超额",
        "huatai_69_chart_14": "图表 14：多任务组合的信息比率",
        "huatai_69_chart_15": "图表 15：其超额的 Calmar 比率",
        "huatai_69_chart_19": "图表 19：10 日预测组合累计超额",
        "huatai_69_chart_20": "图表 20：20 日预测组合累计超额",
        "huatai_69_chart_21": "图表 21：两种预测等权组合累计超额",
        "huatai_69_chart_26": "图表 26：时序注意力组合，原始约束",
        "huatai_69_chart_28": "图表 28：时序注意力组合累计超额，原始约束",
        "huatai_69_chart_30": "图表 30：时序注意力组合，放宽约束",
        "huatai_69_chart_31": "图表 31：时序注意力组合累计超额，放宽约束",
        "huatai_69_chart_33": "图表 33：组合日超额收益的相关系数",
        "huatai_69_chart_37": "图表 37：集成与基线的累计超额",
    },
}

_WORDS = {
    "label": "标签",
    "model": "模型",
    "period": "区间",
    "portfolio": "组合",
    "5 days": "5 日",
    "10 days": "10 日",
    "20 days": "20 日",
    "both": "两种等权",
    "mixed input": "混合输入",
    "output ensemble": "输出集成",
    "output ensemble 1": "输出集成 1",
    "2017-2023.07 a year": "2017-2023.07（年化）",
    "industry neutral": "行业中性",
    "industry 2%": "行业 2%",
    "stock 0.5%": "个股 0.5%",
    "stock 1%": "个股 1%",
    "excess": "超额",
    "excess drawdown": "超额最大回撤",
    "tracking error": "跟踪误差",
    "information ratio": "信息比率",
    "months won": "月胜率",
    "whole": "全区间",
    "turnover 30%": "换手率 30%",
    "turnover 40%": "换手率 40%",
    "turnover 50%": "换手率 50%",
    "CSI500": "中证 500",
    "CSI1000": "中证 1000",
    "return a year": "年化收益",
    "volatility": "年化波动",
    "Sharpe": "夏普比率",
    "drawdown": "最大回撤",
    "excess a year": "年化超额",
    "Calmar": "Calmar 比率",
    "excess Calmar": "超额 Calmar",
    "two-way turnover": "双边换手",
    "two-way turnover a year": "年双边换手",
    "multi-task baseline": "多任务基线",
    "attention between tasks": "任务间注意力",
    "attention between stocks": "股票间注意力",
    "attention in time": "时序注意力",
    "LSTM": "LSTM",
    "ALSTM": "ALSTM",
    "Transformer": "Transformer",
    "ensemble": "集成",
    "signal": "信号",
    "weekdays": "决策日数",
    "decisions": "决策数",
    "without decision": "未决策",
    "relaxed": "放宽约束",
    "largest violation": "最大违反",
    "cpu seconds": "CPU 秒",
}

_NOTES = {
    "Printed is, by its whole period and 2023, table 8's output ensemble 1.": "按其全区间与 2023 年，"
    "所印为表 8 的输出集成 1。",
    "Printed is, by its whole period and 2023, table 11's portfolio from all stocks.": "按其全区间与 2023 年，"
    "所印为表 11 的全市场组合。",
}

_REASONS = (
    (r"not trained here: add ([\w, ]+) to `catalog`", r"此处未训练：请将 \1 加入 `catalog`"),
    (r"no day has (\w+), bars and reference data", r"没有一天同时具有 \1、日线与参考数据"),
    (r"no day has (\w+)", r"没有一天有 \1"),
    (r"the source has no (\w+) weights", r"数据源没有 \1 的权重"),
    (r"fewer than (\d+) days of (\S+) in the lake", r"数据湖中 \2 不足 \1 日"),
    (r"not asked for", "未计算"),
)

_TRADING = (
    (r"the report's costs", "报告的费用"),
    (r"stamp tax and transfer fee by date \(known until (\S+)\)", r"逐日的印花税与过户费（已知至 \1）"),
    (r"commission (\S+) a side", r"佣金单边 \1"),
    (r"slippage (\S+) a side", r"滑点单边 \1"),
    (r"(\S+) million yuan", r"资金 \1 百万元"),
    (r"orders up to (\S+) of the day's amount", r"委托不超过当日成交额的 \1"),
    (r"whole lots", "整手"),
)

_DRAWN = re.compile(r"(CSI\d+): (relative NAV|excess, daily differences compounded)(?:, the (\d+) highest of (\d+))?")
_HOW = {"relative NAV": "相对净值", "excess, daily differences compounded": "超额，按日差值复利"}
_NOT_TRAINED = re.compile(r"not trained here: add (\w+) to `catalog`")

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "html_lang": "en",
        "title": "Portfolio study",
        "source": "Source",
        "lake": "Lake",
        "trading": "Trading",
        "generated": "Generated",
        "simulated": "The market is simulated. These figures show that the portfolios are optimised, traded and "
        "accounted for as in the report; they cannot be compared with the printed ones, which are of the real market.",
        "contents": "Tables and charts",
        "lines": "Upper line: ours, over the days of the printed period that the lake has. Lower line: as printed. A "
        "figure within one calendar year is that year's own, others are annualised (252 sessions).",
        "weekdays": "Series 88 prints means over tracks: each portfolio is decided on every weekday, ours is the mean "
        "of the five paths, ± their standard deviation.",
        "counts": "{have} of {every} portfolios have a backtest, {filled} of {cells} cells a figure of ours.",
        "ours": "ours",
        "published": "published",
        "index_none": "an index has none",
        "model": "Portfolio",
        "curve": "One unit of excess over the index, 1 on the first day; after costs. {how}",
        "bars": "Bars: {what}. Red mark: published.",
        "correlation": "Correlation of daily return less the index's; the printed number in brackets.",
        "missing": "Not drawn: {names}.",
        "excess": "Cumulative excess",
        "backtests": "Backtests",
        "backtests_note": "Decisions made, those without a signal or index, those with a relaxed limit, and the "
        "largest recomputed violation of a constraint.",
        "relative": "Excess is that of the relative NAV, portfolio over index.",
        "difference": "Excess compounds daily differences, as the report's printed figures do.",
        "start": "NAVs begin at the close before the first purchase; that day's excess holds the market's move up to "
        "the purchase, which weighs in a short history.",
        "by_relative_nav": "By relative NAV, as in other tables here, our annual excess would be: {each}.",
        "ours_over": "Ours: {first} to {last}.",
        "in_part": "In part only: {parts}.",
        "part": "{period} ({first} to {last})",
        "few": "fewer than {days} days of {periods} in the lake",
        "portfolio": "{count} portfolio",
        "portfolios": "{count} portfolios",
        "comma": ", ",
        "to": " to ",
    },
    "zh": {
        "html_lang": "zh-CN",
        "title": "组合研究",
        "source": "数据来源",
        "lake": "数据湖",
        "trading": "交易",
        "generated": "生成时间",
        "simulated": "市场为模拟市场：数字说明组合按报告的方式优化、交易与核算；与真实市场的发表数字不可比。",
        "contents": "表格与图",
        "lines": "上行为本湖数字，取数据湖在发表区间内的日期；下行为发表数字。"
        "一个自然年内的数字为该年自身，其余为年化（252 日）。",
        "weekdays": "系列八十八的数字为各轨道平均：每个组合分别在五个工作日决策，"
        "本湖数字为五条路径的平均，± 为其标准差。",
        "counts": "{every} 个组合中 {have} 个有回测，{cells} 格中 {filled} 格有本湖数字。",
        "ours": "本湖",
        "published": "发表",
        "index_none": "指数无此项",
        "model": "组合",
        "curve": "相对指数的超额净值，首日为 1，费后。{how}",
        "bars": "柱：{what}。红线为发表值。",
        "correlation": "日收益减指数日收益的相关系数；括号内为发表值。",
        "missing": "未画：{names}。",
        "excess": "累计超额",
        "backtests": "回测",
        "backtests_note": "决策数、无信号或无指数的决策数、放宽约束的决策数，以及复核的最大约束违反。",
        "relative": "超额为组合与指数的相对净值。",
        "difference": "超额按日差值复利，与报告所印数字一致。",
        "start": "净值自首次买入前一收盘起算，当日超额含买入前的市场涨跌，历史较短时影响明显。",
        "by_relative_nav": "若按相对净值计，本湖年化超额为：{each}。",
        "ours_over": "本湖：{first} 至 {last}。",
        "in_part": "仅部分区间：{parts}。",
        "part": "{period}（{first} 至 {last}）",
        "few": "数据湖中 {periods} 不足 {days} 日",
        "portfolio": "{count} 个组合",
        "portfolios": "{count} 个组合",
        "comma": "、",
        "to": " 至 ",
    },
}


def translated(text: str, lang: str) -> str:
    """A head or label in a language: words separated by ", ", each on its own."""
    if lang == "en":
        return text
    return "，".join(_WORDS.get(word, word) for word in text.split(", "))


def title_text(key: str, title: str, lang: str) -> str:
    """Title of a table by its key, such as ``huatai_72_chart_64``."""
    return title if lang == "en" else _TITLES[key]


def note_text(note: str, lang: str) -> str:
    """Note of a table."""
    return note if lang == "en" else _NOTES.get(note, note)


def reason_text(reason: str, lang: str) -> str:
    """Why a figure of ours is absent; a sentence without a translation stays in English."""
    return reason if lang == "en" else _chinese(reason, _REASONS)


def reason_texts(reasons: Iterable[str], lang: str) -> list[str]:
    """Sentences of several reasons, each once; models that are not trained are listed in one."""
    kept, names = [], []
    for reason in dict.fromkeys(reasons):
        if found := _NOT_TRAINED.fullmatch(reason):
            names.append(found[1])
        else:
            kept.append(reason)
    lacking = [f"not trained here: add {', '.join(names)} to `catalog`"] if names else []
    return [reason_text(reason, lang) for reason in [*lacking, *kept]]


def trading_text(trading: str, lang: str) -> str:
    """Costs and fills of orders; a part without a translation stays in English."""
    if lang == "en":
        return trading
    return "，".join(_chinese(part, _TRADING) for part in trading.split(", "))


def drawn_text(title: str, lang: str) -> str:
    """Title of a chart of the highest portfolios of an index; another title stays as it is."""
    found = _DRAWN.fullmatch(title)
    if lang == "en" or not found:
        return title
    index, how, shown, count = found.groups()
    most = f"，{count} 个中最高的 {shown} 个" if shown else ""
    return f"{translated(index, lang)}：{_HOW[how]}{most}"


def _chinese(text: str, patterns: Iterable[tuple[str, str]]) -> str:
    """A sentence by the first pattern that it matches as a whole; itself where there is none."""
    for pattern, chinese in patterns:
        if re.fullmatch(pattern, text):
            return re.sub(pattern, chinese, text)
    return text
