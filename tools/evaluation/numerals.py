"""Chinese numerals written and read, for making test sentences; kept apart from the checks that they test."""

_DIGITS = "零一二三四五六七八九"


def chinese(n: int) -> str:
    """32 -> 三十二. 0 <= n < 10^12."""
    if n >= 10**8:
        return _grouped(n, 10**8, "亿")
    if n >= 10**4:
        return _grouped(n, 10**4, "万")
    text = ""
    gap = False
    for scale, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = n // scale % 10
        if digit:
            text += ("零" if gap and text else "") + _DIGITS[digit] + name
            gap = False
        else:
            gap = True
    return text.removeprefix("一") if text.startswith("一十") else text or "零"


def _grouped(n: int, scale: int, name: str) -> str:
    above, below = divmod(n, scale)
    joint = "零" if below and below < scale // 10 else ""
    rest = chinese(below) if below else ""
    return chinese(above) + name + joint + ("一" + rest if rest.startswith("十") else rest)


def chinese_digits(n: int) -> str:
    """2023 -> 二〇二三."""
    return "".join("〇一二三四五六七八九"[int(digit)] for digit in str(n))


def read_integer(text: str) -> int:
    """三十二 -> 32, 二〇二三 -> 2023; below 10,000."""
    values = {char: i for i, char in enumerate(_DIGITS)} | {"〇": 0}
    if not any(char in "十百千" for char in text):
        return int("".join(str(values[char]) for char in text))
    total = digit = 0
    for i, char in enumerate(text):
        if char in values:
            digit = values[char]
        else:
            total += (digit if digit or i else 1) * {"十": 10, "百": 100, "千": 1000}[char]
            digit = 0
    return total + digit
