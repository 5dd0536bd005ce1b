"""Text as an attacker would send it in a team name, a session id or a reason."""

from hypothesis import strategies as st

ATTACKS = (
    "<script>alert(1)</script>",
    "<!channel> <!here> <@U123> <https://evil.test|click>",
    "@everyone @octocat #general #1",
    "[click](https://evil.test) ![x](https://evil.test/x.png) https://evil.test www.evil.test",
    "a | b \\| c \\",
    "`code` ```block``` **bold** _under_ ~gone~ $x$",
    "&lt;!channel&gt; &#64;octocat &commat;octocat",
    "line\nbreak\r\n# heading\n\n| a | b |\n|---|---|\n\x00\x1b[31m",
    "\u202eright to left\u2066 zero\u200bwidth \ufeff",
    "'\"><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raw %} ${x}",
    "z" * 100_000,
    "Z̴̢̛͖̪̈́̃a̵̡̛̠͐l̷̨̛͔̈́g̸̨̛͇̈́o̵",
    "日本語 🚨 ünïcode",
    "<!--",
    "-- \u2028 \u2029 \x85",
    "",
    "   ",
)

hostile = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(alphabet=st.characters(), max_size=80),
    st.text(alphabet="<>|`@#*_~[]()!&;:/\\ \n\tah$w.", max_size=60),
    st.lists(st.sampled_from(ATTACKS[:11]), min_size=2, max_size=3).map("".join),
)
