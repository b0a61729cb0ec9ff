//! JSON-e templates that are made up: well-typed for the most part, so that most have a value.
//!
//! Left out is where the Python package alone differs: booleans count as 0 and 1 there, and quotients are always floats.

use crate::rng::Rng;
use serde_json::{Value, json};

/// The names that made-up templates use.
#[must_use]
pub fn context() -> Value {
    json!({
        "n": 7, "big": 5_000_000_000_u64, "neg": -3, "zero": 0, "t": "a text, with ümlaut", "e": "",
        "yes": true, "no": false, "z": null,
        "xs": [3, 1, 2, 1], "ts": ["b", "a", "c"], "deep": [[1, [2]], [3], 4],
        "o": {"k": 1, "s": "x", "xs": [1, 2]}, "os": [{"k": 2}, {"k": 1, "j": {"a": [1]}}, {"j": {"a": [2], "b": 3}}],
    })
}

fn number(rng: &mut Rng, depth: usize) -> String {
    if depth == 0 || rng.chance(30) {
        return (*rng.pick(&["n", "big", "neg", "zero", "12", "3", "o.k", "xs[0]", "xs[-1]", "floor(number('41'))"]))
            .to_owned();
    }
    let (left, right) = (number(rng, depth - 1), number(rng, depth - 1));
    match rng.below(9) {
        0 => format!("{left} + {right}"),
        1 => format!("({left} - {right})"),
        2 => format!("({left}) * {}", rng.below(9)),
        3 => format!("floor(({left}) / ({right}))"),
        4 => format!("min({left}, {right}, 5)"),
        5 => format!("max({left}, {right})"),
        6 => format!("len({})", if rng.chance(50) { text(rng, depth - 1) } else { list(rng, depth - 1) }),
        7 => format!("abs({left}) * 2 ** {}", rng.below(5)),
        _ => format!("-({left})"),
    }
}

fn text(rng: &mut Rng, depth: usize) -> String {
    if depth == 0 || rng.chance(30) {
        return (*rng.pick(&["t", "e", "'b'", "\"it's\"", "ts[1]", "o.s", "o['s']", "typeof(xs)", "typeof(len)"]))
            .to_owned();
    }
    let (left, right) = (text(rng, depth - 1), text(rng, depth - 1));
    match rng.below(8) {
        0 => format!("{left} + {right}"),
        1 => format!("uppercase({left})"),
        2 => format!("strip({left} + ' ')"),
        3 => format!("str({})", number(rng, depth - 1)),
        4 => format!("join({}, '-')", *rng.pick(&["ts", "xs", "split(t, ' ')"])),
        5 => format!("({left})[{}:{}]", rng.below(4), rng.below(6)),
        6 => format!("({left})[-{}:]", 1 + rng.below(4)),
        _ => format!("(lowercase({left}) + {right})"),
    }
}

fn truth(rng: &mut Rng, depth: usize) -> String {
    if depth == 0 || rng.chance(20) {
        return (*rng.pick(&["yes", "no", "true", "false", "!e", "!xs", "defined('n')", "defined('nope')"])).to_owned();
    }
    match rng.below(8) {
        0 => format!("{} < {}", number(rng, depth - 1), number(rng, depth - 1)),
        1 => format!("{} >= {}", text(rng, depth - 1), text(rng, depth - 1)),
        2 => format!("({}) == ({})", number(rng, depth - 1), number(rng, depth - 1)),
        3 => format!("({}) != ({})", text(rng, depth - 1), text(rng, depth - 1)),
        4 => format!("({}) in {}", text(rng, depth - 1), *rng.pick(&["ts", "t", "o"])),
        5 => format!("{} && {}", truth(rng, depth - 1), truth(rng, depth - 1)),
        6 => format!("{} || {}", truth(rng, depth - 1), truth(rng, depth - 1)),
        _ => format!("!({})", truth(rng, depth - 1)),
    }
}

fn list(rng: &mut Rng, depth: usize) -> String {
    if depth == 0 || rng.chance(40) {
        return (*rng.pick(&["xs", "ts", "deep", "[]", "[1, n]", "o.xs", "split('a,b', ',')"])).to_owned();
    }
    match rng.below(4) {
        0 => format!("[{}, {}]", number(rng, depth - 1), text(rng, depth - 1)),
        1 => format!("range({}, {})", rng.below(3), rng.below(9)),
        2 => format!("range({}, {}, {})", rng.below(9), rng.below(9), *rng.pick(&["1", "2", "3"])),
        _ => format!("({})[{}:{}]", list(rng, depth - 1), rng.below(3), rng.below(4)),
    }
}

fn any(rng: &mut Rng, depth: usize) -> String {
    match rng.below(6) {
        0 => number(rng, depth),
        1 => text(rng, depth),
        2 => truth(rng, depth),
        3 => list(rng, depth),
        4 => format!("{{a: {}, 'b c': {}}}", number(rng, depth), text(rng, depth)),
        _ => (*rng.pick(&["z", "o", "os", "o['nope']", "nosuch", "o.nope", "xs[9]", "t + 1", "null"])).to_owned(),
    }
}

fn array(rng: &mut Rng, depth: usize) -> Value {
    match rng.below(3) {
        0 => json!({"$eval": list(rng, depth)}),
        1 => Value::Array((0..rng.below(4)).map(|_| template(rng, depth.saturating_sub(1))).collect()),
        _ => json!({"$eval": *rng.pick(&["xs", "ts", "os", "deep"])}),
    }
}

/// A template of about `depth` levels, with every operator.
pub fn template(rng: &mut Rng, depth: usize) -> Value {
    if depth == 0 {
        return leaf(rng);
    }
    let less = depth - 1;
    match rng.below(22) {
        0 | 1 => leaf(rng),
        2 => json!({"$eval": any(rng, less)}),
        3 => json!({"$if": truth(rng, less), "then": template(rng, less)}),
        4 => json!({"$if": any(rng, less), "then": template(rng, less), "else": template(rng, less)}),
        5 => json!({"$let": {"n": {"$eval": number(rng, less)}, "t": template(rng, less)}, "in": template(rng, less)}),
        6 => json!({"$map": array(rng, less), "each(v)": {"$eval": "[v, n]"}}),
        7 => json!({"$map": array(rng, less), "each(n,i)": [template(rng, less), "${i}"]}),
        8 => json!({"$map": {"$eval": "o"}, "each(v)": {"${v.key}!": {"$eval": "v.val"}}}),
        9 => json!({"$map": {"$eval": "o"}, "each(v, k)": {"k-${k}": {"$eval": "v"}, "last": "${k}"}}),
        10 => json!({"$reduce": array(rng, less), "initial": 1, "each(acc,v)": {"$eval": "[acc, v]"}}),
        11 => json!({"$reduce": {"$eval": "xs"}, "initial": n(rng), "each(a,v,i)": {"$eval": "a + v * i"}}),
        12 => json!({"$find": {"$eval": "xs"}, "each(v)": format!("v == {}", number(rng, less))}),
        13 => json!({"$match": {truth(rng, less): [template(rng, less)], truth(rng, less): leaf(rng)}}),
        14 => json!({"$switch": {truth(rng, less): template(rng, less), "$default": leaf(rng)}}),
        15 => {
            json!({"$merge": [{"$eval": "o"}, {"$if": truth(rng, less), "then": {"k": 2}, "else": {"${t}": leaf(rng)}}]})
        }
        16 => json!({"$mergeDeep": {"$eval": "os"}}),
        17 => json!({"$reverse": array(rng, less)}),
        18 => json!({"$sort": {"$eval": *rng.pick(&["xs", "ts", "deep", "[]"])}}),
        19 => json!({"$sort": {"$eval": "xs + []"}, "by(x)": "-x"}),
        20 => json!({(*rng.pick(&["$json", "$flatten", "$flattenDeep"])): array(rng, less)}),
        _ => json!({"a${n}": template(rng, less), "$$b": template(rng, less), "c": [template(rng, less), leaf(rng)]}),
    }
}

fn n(rng: &mut Rng) -> usize {
    rng.below(5)
}

fn leaf(rng: &mut Rng) -> Value {
    match rng.below(9) {
        0 => json!(5_000_000_000_u64),
        1 => json!(null),
        2 => json!(true),
        3 => json!(format!("{} ${{{}}}-$${{x}} $1", t(rng), number(rng, 1))),
        4 => json!(format!("${{{}}}${{ {} }}", text(rng, 1), truth(rng, 1))),
        5 => json!({"$fromNow": *rng.pick(&["1 year", "2 days 3 hours", "- 1 mo 2w", "", "+1h 5 minutes 1s", "soon"])}),
        6 => json!({"$eval": format!("fromNow('{} days', '2020-02-28T23:59:59.999Z')", rng.below(400))}),
        7 => json!({"$sort": {"$eval": "os"}, "by(x)": "str(x['k'])"}),
        _ => json!(t(rng)),
    }
}

fn t(rng: &mut Rng) -> &'static str {
    rng.pick::<&str>(&["plain", "with $ and {}", "ünï", "", "$${", "a\nb\"c'"])
}

/// Tokens in any order: mostly no expression at all.
pub fn expression_soup(rng: &mut Rng) -> String {
    const TOKENS: &[&str] = &[
        "n", "t", "xs", "o", "o.k", "1", "2", "1.5", "'q'", "+", "-", "*", "**", "(", ")", "[", "]", ".", ",", ":",
        "{", "}", "(n)", "[0]", "[1:]", "len(", "null", "a:", " ",
    ];
    (0..=rng.below(6)).map(|_| *rng.pick(TOKENS)).collect()
}
