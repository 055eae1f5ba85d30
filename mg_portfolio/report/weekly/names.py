"""Names of factors, models, portfolios, industries, styles, limits and checks, in Chinese and English."""

import re
from collections.abc import Mapping

FACTORS: dict[str, tuple[str, str]] = {
    "intraday_skew": ("日内高频偏度", "Intraday skewness"),
    "down_vol_perc": ("日内下行波动占比", "Downside volatility share"),
    "open_buy_intent_share": ("开盘后买入意愿占比", "Buying intent after the open, share"),
    "open_buy_intent_strength": ("开盘后买入意愿强度", "Buying intent after the open, strength"),
    "open_big_net_buy_share": ("开盘后大单净买入占比", "Big-order net buying after the open, share"),
    "open_big_net_buy_strength": ("开盘后大单净买入强度", "Big-order net buying after the open, strength"),
    "improved_reversal": ("改进反转", "Improved reversal"),
    "tail_volume_share": ("尾盘成交占比", "Tail volume share"),
    "down_single_amt_perc": ("平均单笔流出金额占比", "Average single outflow share"),
    "bigorder_ret": ("大单推动涨幅", "Big-order-driven return"),
    "gru_50_1_nn10": ("GRU(50,1)+NN(10)", "GRU(50,1)+NN(10)"),
    "gru_50_2_nn10": ("GRU(50,2)+NN(10)", "GRU(50,2)+NN(10)"),
    "attention_gru_50_2_nn10": ("改进 GRU(50,2)+NN(10)", "Attention GRU(50,2)+NN(10)"),
    "residual_attention_lstm_48_2_nn10": ("残差注意力 LSTM(48,2)+NN(10)", "Residual attention LSTM(48,2)+NN(10)"),
    "multi_granularity_5d": ("多颗粒度模型（5 日标签）", "Multi-granularity, 5-day label"),
    "multi_granularity_10d": ("多颗粒度模型（10 日标签）", "Multi-granularity, 10-day label"),
    "hf_gru": ("高频深度学习因子", "High-frequency GRU"),
    "lf_multitask": ("低频多任务因子", "Low-frequency multitask"),
    "fused": ("全频段融合因子", "Full-band fused signal"),
    "hf_equal_weight": ("高频因子等权合成", "High-frequency factors, equal weights"),
    "hf_icir_weight": ("高频因子 ICIR 加权", "High-frequency factors, ICIR weights"),
}
INDICES = {
    "CSI 300": ("沪深 300", "CSI 300"),
    "CSI 500": ("中证 500", "CSI 500"),
    "CSI 1000": ("中证 1000", "CSI 1000"),
}
STYLES = {
    "size": ("市值", "size"),
    "valuation": ("估值", "valuation"),
    "reversal": ("反转", "reversal"),
    "turnover": ("换手率", "turnover"),
    "amount": ("成交金额", "amount"),
    "beta": ("贝塔", "beta"),
}
INDUSTRIES = (
    ("电子", "Electronics"),
    ("医药", "Pharmaceuticals"),
    ("机械", "Machinery"),
    ("基础化工", "Basic Chemicals"),
    ("计算机", "Computers"),
    ("电力设备及新能源", "Power Equipment and New Energy"),
    ("汽车", "Automobiles"),
    ("电力及公用事业", "Utilities and Power"),
    ("通信", "Communications"),
    ("轻工制造", "Light Manufacturing"),
    ("建筑", "Construction"),
    ("交通运输", "Transportation"),
    ("传媒", "Media"),
    ("房地产", "Real Estate"),
    ("有色金属", "Nonferrous Metals"),
    ("食品饮料", "Food and Beverages"),
    ("国防军工", "Defence"),
    ("商贸零售", "Retail and Trade"),
    ("纺织服装", "Textiles and Apparel"),
    ("家电", "Home Appliances"),
    ("建材", "Building Materials"),
    ("农林牧渔", "Agriculture"),
    ("非银行金融", "Non-bank Finance"),
    ("钢铁", "Steel"),
    ("消费者服务", "Consumer Services"),
    ("石油石化", "Petroleum"),
    ("煤炭", "Coal"),
    ("银行", "Banks"),
    ("综合", "Conglomerates"),
    ("综合金融", "Diversified Finance"),
    ("未知", "unknown"),
)
"""First level of the CITIC classification: Chinese and English."""

SHENWAN = {
    "医药生物": "Pharmaceuticals",
    "机械设备": "Machinery",
    "电力设备": "Power Equipment",
    "公用事业": "Utilities",
    "建筑装饰": "Construction",
    "纺织服饰": "Textiles and Apparel",
    "家用电器": "Home Appliances",
    "建筑材料": "Building Materials",
    "非银金融": "Non-bank Finance",
    "社会服务": "Social Services",
    "环保": "Environment",
    "美容护理": "Beauty Care",
    "化工": "Chemicals",
    "采掘": "Mining",
    "电气设备": "Electrical Equipment",
    "商业贸易": "Retail and Trade",
    "休闲服务": "Leisure Services",
}
"""Names of the Shenwan classification that the other lacks."""

LIMITS = {
    "budget": ("满仓", "fully invested"),
    "turnover": ("换手", "turnover"),
    "members": ("成分股占比下限", "share of members"),
    "stock_limit": ("个股偏离", "stock band"),
    "industry": ("行业", "industry"),
    "style": ("风格", "style"),
    "st": ("不买入 ST 股票", "no purchase under special treatment"),
}
REASONS = {
    "suspended": ("停牌", "suspended"),
    "no_price": ("无成交价", "no price"),
    "limit_up": ("涨停", "at the upper limit"),
    "limit_down": ("跌停", "at the lower limit"),
    "lot": ("不足一手", "less than a lot"),
    "capacity": ("超出成交容量", "beyond the capacity"),
    "delisted": ("退市", "delisted"),
    "absent": ("长期无行情", "no bars for long"),
}
WEEKDAYS = {
    "mon": ("周一", "Mon"),
    "tue": ("周二", "Tue"),
    "wed": ("周三", "Wed"),
    "thu": ("周四", "Thu"),
    "fri": ("周五", "Fri"),
}
CHECKS = {
    "schema": "字段与类型",
    "values": "取值",
    "sequence": "顺序",
    "price_limits": "涨跌停价",
    "order_numbers": "委托编号",
    "aggressor": "主动方向",
    "odd_trades": "个别异常成交",
    "session": "交易时段",
    "coverage": "覆盖度",
    "size_band": "行数区间",
    "set_aside": "剔除比例",
    "order_ids": "委托标识",
    "odd_orders": "个别异常委托",
    "lots": "整手",
    "replay": "盘口重放",
    "levels": "档位",
    "symbols": "证券代码",
    "listing": "上市状态",
    "attributes": "属性",
    "odd_stocks": "个别异常股票",
    "index_weights": "指数权重",
    "weights_of_members": "成分股权重",
    "membership": "成分股归属",
    "members_band": "成分股数量",
    "grid": "分钟网格",
    "ohlc": "开高低收",
    "odd_bars": "个别异常行情",
    "matches_trades": "与逐笔成交一致",
    "tick": "最小价位",
    "matches_minutes": "与分钟行情一致",
    "continuity": "价格连续性",
    "returns": "收益率",
    "matches_daily": "与日行情一致",
    "ranges": "取值范围",
    "nulls": "缺失值",
    "drift": "分布漂移",
    "standardised": "标准化",
    "filled": "填充",
    "finite_share": "有效值占比",
    "budget": "权重之和",
    "stock_limit": "个股偏离",
    "tradability": "可交易性",
    "exposures": "暴露",
    "solution": "求解",
    "relaxed": "约束放松",
    "limits_have_inputs": "约束的输入",
    "index_weights_age": "指数权重的时效",
    "reasons": "原因",
    "leakage": "未来信息",
    "certificate": "防泄漏证书",
    "point_in_time": "时点一致性",
    "embargo": "隔离期",
    "validation": "验证集",
    "validation_days": "验证天数",
}
"""Chinese names of the checks; in English a check's own name is shown with spaces."""

_PARTS = {
    "daily": ("日频", "daily"),
    "60min": ("60 分钟", "60-minute"),
    "30min": ("30 分钟", "30-minute"),
    "mixed_input": ("混合输入", "mixed-input"),
    "output_ensemble2": ("两颗粒度集成", "ensemble of two"),
    "output_ensemble3": ("三颗粒度集成", "ensemble of three"),
}
_CELLS = {"gru": ("GRU", "GRU"), "biagru": ("双向 AGRU", "bidirectional AGRU")}
_MULTI = re.compile(rf"({'|'.join(_PARTS)})_({'|'.join(_CELLS)})_(\d+)d")
_PORTFOLIO = ("{index} 增强（{variant}）", "{index} enhanced ({variant})")
_VARIANT = {
    "turnover30": ("双边换手 30%", "30% turnover"),
    "turnover40": ("双边换手 40%", "40% turnover"),
    "turnover50": ("双边换手 50%", "50% turnover"),
    "ai": ("AI", "AI"),
}
_ENGLISH_INDUSTRY = {zh: en for zh, en in INDUSTRIES} | SHENWAN
_CHINESE_INDUSTRY = {en: zh for zh, en in INDUSTRIES}


NAMES = {lang: {name: pair[at] for name, pair in FACTORS.items()} for at, lang in enumerate(("zh", "en"))}
"""Display names of the factors and signals by language."""


def _at(lang: str) -> int:
    return ("zh", "en").index(lang)


def _shown(names: Mapping[str, tuple[str, str]], name: str, lang: str) -> str:
    return names[name][_at(lang)] if name in names else name


def name_of(subject: str, lang: str, labels: Mapping[str, str] | None = None) -> str:
    """Display name of a factor, signal or index in a language; its own name where there is none."""
    given = (labels or {}).get(lang)
    if given:
        return given
    if found := _MULTI.fullmatch(subject):
        part, cell = _PARTS[found[1]][_at(lang)], _CELLS[found[2]][_at(lang)]
        return (
            f"{part}{cell}（{found[3]} 日标签）"
            if lang == "zh"
            else f"{part[0].upper()}{part[1:]} {cell}, {found[3]}-day label"
        )
    return _shown(FACTORS | INDICES, subject, lang)


def style_name(style: str, lang: str) -> str:
    """Display name of a style."""
    return _shown(STYLES, style, lang)


def industry_name(industry: str, lang: str) -> str:
    """Display name of a first-level industry, given in Chinese or English; its own where it is neither."""
    return (_ENGLISH_INDUSTRY if lang == "en" else _CHINESE_INDUSTRY).get(industry, industry)


def reason_name(reason: str, lang: str) -> str:
    """Display name of the reason why an order could not trade."""
    return _shown(REASONS, reason, lang)


def weekday_name(weekday: str, lang: str) -> str:
    """Display name of ``mon`` .. ``fri``."""
    return _shown(WEEKDAYS, weekday, lang)


def check_name(check: str, lang: str) -> str:
    """Display name of a check; its own where it is a user's."""
    return CHECKS.get(check, check) if lang == "zh" else check.replace("_", " ")


def limit_name(limit: str, lang: str) -> str:
    """Display name of a portfolio's limit, ``turnover`` or ``industry[Banks]``."""
    kind, _, of = limit.rstrip("]").partition("[")
    if not of:
        return style_name(limit, lang) if kind in STYLES and kind not in LIMITS else _shown(LIMITS, kind, lang)
    inner = industry_name(of, lang) if kind == "industry" else style_name(of, lang)
    return f"{_shown(LIMITS, kind, lang)}{'：' if lang == 'zh' else ': '}{inner}"


def portfolio_name(name: str, index: str, lang: str) -> str:
    """Display name of a portfolio by its index and variant, ``csi500_turnover30`` or ``mine``; of an index, its own."""
    shown = name_of(index, lang)
    if name == index:
        return shown
    variant = name.removeprefix(f"{index.replace(' ', '').lower()}_")
    return _PORTFOLIO[_at(lang)].format(index=shown, variant=_shown(_VARIANT, variant, lang))
