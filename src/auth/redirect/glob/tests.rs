use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::Glob;

#[test]
fn as_gobwas() {
    // pattern, texts that match, texts that do not
    let cases: [(&str, &[&str], &[&str]); 20] = [
        ("", &[""], &["a"]),
        ("abc", &["abc"], &["ab", "abcd", "Abc"]),
        ("*", &["", "abc", "a:b"], &["a.b", "a/b", "."]),
        ("**", &["", "a.b/c"], &[]),
        ("a?c", &["abc", "aéc"], &["ac", "a.c", "a/c", "abbc"]),
        ("*.*.x", &["a.b.x", "..x"], &["a.x", "a.b.c.x"]),
        ("a*b*c", &["abc", "axbxc", "abbcc"], &["a.bc", "acb"]),
        ("***", &["a.b"], &[]),
        ("[abc]", &["a", "c"], &["d", "ab", ""]),
        ("[!abc]x", &["dx", "/x", ".x"], &["ax", "x"]),
        ("[a-c]", &["a", "b"], &["d", "-"]),
        ("[!a-c]", &["d", "."], &["b"]),
        ("[ab-c]", &["a", "b", "-", "c"], &["d"]),
        ("[\\]]", &["]"], &["\\"]),
        ("{a,b}c", &["ac", "bc"], &["c", "a", "{a,b}c"]),
        ("{a,{b,c},*d}", &["a", "b", "c", "d", "xyzd"], &["", "x.d"]),
        ("{,a}b", &["b", "ab"], &["a"]),
        ("{a", &["a"], &["{a"]),
        ("a},b", &["a},b"], &["a"]),
        ("\\*\\{a\\\\", &["*{a\\"], &["x{a\\"]),
    ];
    for (pattern, matching, others) in cases {
        let glob = Glob::compile(pattern).unwrap();
        assert!(
            matching.iter().all(|text| glob.matches(text)),
            "{pattern} {matching:?}"
        );
        assert!(
            !others.iter().any(|text| glob.matches(text)),
            "{pattern} {others:?}"
        );
    }
    for pattern in ["[", "[a", "[]", "[!]", "[a-]", "[a-bc]", "[c-a]"] {
        assert!(Glob::compile(pattern).is_err(), "{pattern}");
    }
}

/// The plain definition, with all the time in the world.
fn slow(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', '*', rest @ ..] => (0..=text.len()).any(|end| slow(rest, &text[end..])),
        ['*', rest @ ..] => {
            let run = text
                .iter()
                .take_while(|character| !['.', '/'].contains(character))
                .count();
            (0..=run).any(|end| slow(rest, &text[end..]))
        }
        ['?', rest @ ..] => text
            .split_first()
            .is_some_and(|(first, text)| !['.', '/'].contains(first) && slow(rest, text)),
        [literal, rest @ ..] => text
            .split_first()
            .is_some_and(|(first, text)| first == literal && slow(rest, text)),
    }
}

proptest! {
    #[test]
    fn agrees_with_the_definition(pattern in "[ab./?*]{0,8}", text in "[abc./?]{0,10}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        // gobwas reads stars in pairs from the left, as the definition does.
        prop_assert_eq!(Glob::compile(&pattern).unwrap().matches(&text), slow(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn never_panics(pattern in "[a\\[\\]{},!*?\\\\é/.:-]{0,30}", text in ".{0,20}") {
        if let Ok(glob) = Glob::compile(&pattern) {
            let _ = glob.matches(&text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn time_is_bounded(pattern in "(\\*\\*?[ab]?){1,40}", text in "[ab]{2000}") {
        let started = Instant::now();
        let _ = Glob::compile(&pattern).unwrap().matches(&text);
        prop_assert!(started.elapsed() < Duration::from_mins(1));
    }
}
