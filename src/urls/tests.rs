use proptest::prelude::*;

use super::query::Pairs;
use super::{GoUrl, Malformed};

/// What Go's `url.Parse` makes of a text: `String()`, `Hostname()`, `Port()`.
#[test]
fn parses_and_prints_as_go() {
    let cases = [
        (
            "HTTPS://App.Example.com",
            "https://App.Example.com",
            "App.Example.com",
            "",
        ),
        (
            "https://a.b:8443/x?y#z",
            "https://a.b:8443/x?y#z",
            "a.b",
            "8443",
        ),
        ("https://a.b:/x", "https://a.b:/x", "a.b", ""),
        ("https://a b@c/", "", "", ""),
        (
            "https://us%20er:p%40w@a.b/",
            "https://us%20er:p%40w@a.b/",
            "a.b",
            "",
        ),
        ("https://x@y@a.b/", "https://x%40y@a.b/", "a.b", ""),
        ("https://a.b/a b", "https://a.b/a%20b", "a.b", ""),
        ("https://a.b/\"<>'", "https://a.b/%22%3C%3E%27", "a.b", ""),
        ("https://a.b/%2f%e9/é", "https://a.b//%E9/%C3%A9", "a.b", ""),
        ("https://a.b/[x]", "https://a.b/[x]", "a.b", ""),
        (
            "https://a.b/|^`{}",
            "https://a.b/%7C%5E%60%7B%7D",
            "a.b",
            "",
        ),
        (
            "https://a.b/#a|b \"c",
            "https://a.b/#a%7Cb%20%22c",
            "a.b",
            "",
        ),
        ("https://a.b/#a!b(c)*'", "https://a.b/#a!b(c)*'", "a.b", ""),
        ("https://a.b?", "https://a.b?", "a.b", ""),
        ("https://a.b??", "https://a.b??", "a.b", ""),
        ("https://a.b/%zz", "", "", ""),
        ("https://a.b/#%zz", "", "", ""),
        ("https://a.b?%zz", "https://a.b?%zz", "a.b", ""),
        (
            "https://b%C3%BCcher.example",
            "https://b%C3%BCcher.example",
            "bücher.example",
            "",
        ),
        ("https://a%2eb/", "", "", ""),
        ("https://a\\b/", "", "", ""),
        ("https://a.b/\\c", "https://a.b/%5Cc", "a.b", ""),
        ("https://a.b/\t", "", "", ""),
        ("http://[::1]:3000/", "http://[::1]:3000/", "::1", "3000"),
        (
            "http://[fe80::1%25eth0]/",
            "http://[fe80::1%25eth0]/",
            "fe80::1%eth0",
            "",
        ),
        ("http://[::1", "", "", ""),
        ("http://[127.0.0.1]/", "", "", ""),
        ("http://x[::1]/", "", "", ""),
        ("http://::1/", "", "", ""),
        ("http://a:80:80/", "", "", ""),
        ("http://a:x/", "", "", ""),
        ("pg://a:1,b:2/x", "pg://a:1,b:2/x", "a:1,b", "2"),
        ("mailto:a@b?c", "mailto:a@b?c", "", ""),
        ("myapp:/cb", "myapp:/cb", "", ""),
        ("myapp://cb", "myapp://cb", "cb", ""),
        ("file:///x", "file:///x", "", ""),
        ("https:///x", "https:///x", "", ""),
        ("https://", "https:", "", ""),
        ("//a.b/x", "//a.b/x", "a.b", ""),
        ("///a.b/x", "///a.b/x", "", ""),
        ("/x", "/x", "", ""),
        ("x", "x", "", ""),
        (" https://a.b", "", "", ""),
        (":", "", "", ""),
        ("1:2", "", "", ""),
        ("", "", "", ""),
    ];
    for (text, printed, host, port) in cases {
        match GoUrl::parse(text) {
            Ok(url) => {
                assert_eq!(url.to_string(), printed, "{text}");
                assert_eq!((&*url.hostname(), url.port()), (host, port), "{text}");
            }
            Err(_) => assert_eq!(printed, "", "{text}"),
        }
    }
}

#[test]
fn queries_as_go() {
    let pairs = Pairs::parse_lenient("b=2&a=1+%26&b=%C3%A9&c&&d=%zz&e;f=1&=g&h=i=j&k=%ff");
    assert_eq!(pairs.get("b"), "2");
    assert_eq!(pairs.get("a"), "1 &");
    assert_eq!(pairs.get("d"), "");
    assert_eq!(pairs.get("nope"), "");
    assert_eq!(
        pairs.encode(),
        "=g&a=1+%26&b=2&b=%C3%A9&c=&h=i%3Dj&k=%EF%BF%BD"
    );
    assert_eq!(
        Pairs::parse("a=1&d=%z"),
        Err(Malformed("invalid URL escape"))
    );
    assert_eq!(
        Pairs::parse("a;b"),
        Err(Malformed("invalid semicolon separator in query"))
    );
    assert_eq!(Pairs::parse_lenient(&"a&".repeat(10_001)), Pairs::default());
}

proptest! {
    #[test]
    fn queries_come_back(pairs in prop::collection::vec((".{0,8}", ".{0,8}"), 0..6)) {
        let pairs: Pairs = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        let text = pairs.encode();
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        let again = Pairs::parse(&text).unwrap();
        prop_assert_eq!(again.encode(), text);
        for (name, _) in pairs.iter() {
            prop_assert_eq!(again.get(name), pairs.get(name));
        }
    }

    #[test]
    fn printing_is_stable(text in "[a-z:/?#@%\\[\\]. é\"]{0,30}|https?://.{0,20}") {
        if let Ok(url) = GoUrl::parse(&text) {
            let printed = url.to_string();
            if let Ok(again) = GoUrl::parse(&printed) {
                prop_assert_eq!(again.to_string(), printed);
            }
        }
    }
}
