mod attacks;
mod corpus;
mod properties;

use super::RedirectRules;

const SITE: &str = "https://app.example.com";

fn rules(allow_list: &[&str]) -> RedirectRules {
    let allow_list: Vec<String> = allow_list.iter().map(ToString::to_string).collect();
    RedirectRules::new(SITE, &allow_list).unwrap()
}

/// What of `urls` these patterns allow.
fn allowed<'a>(allow_list: &[&str], urls: &[&'a str]) -> Vec<&'a str> {
    let rules = rules(allow_list);
    urls.iter()
        .copied()
        .filter(|url| rules.allows(url))
        .collect()
}

/// As in the recording `signup/redirect-to`.
const RECORDED: [&str; 5] = [
    "https://app.example.com/**",
    "https://*.preview.example.com/cb",
    "http://localhost:3000/**",
    "myapp://callback",
    "https://exact.example.com/path?x=1",
];

#[test]
fn the_recorded_targets() {
    let targets = [
        ("https://app.example.com/welcome", true),
        ("https://app.example.com/a/b?x=1", true),
        ("https://app.example.com/welcome#frag", true),
        ("https://evil.example.net/", false),
        ("https://one.preview.example.com/cb", true),
        ("https://one.two.preview.example.com/cb", false),
        ("https://one.preview.example.com/cb/x", false),
        ("http://localhost:3000/any/deep", true),
        ("http://localhost:4000/", false),
        ("myapp://callback", true),
        ("myapp://callback/more", false),
        ("https://exact.example.com/path?x=1", true),
        ("javascript:alert(1)", false),
        ("//evil.example.net", false),
        ("https://app.example.com@evil.example.net/", false),
        ("http://app.example.com/", false),
        ("https://app.example.com:8443/", false),
        ("/relative", false),
        ("", false),
        ("https://2130706433/", false),
        ("http://127.0.0.1:3000/", true),
    ];
    let rules = rules(&RECORDED);
    for (target, expected) in targets {
        assert_eq!(rules.allows(target), expected, "{target}");
    }
}

#[test]
fn a_header_hides_the_query_even_when_it_is_refused() {
    let rules = rules(&RECORDED);
    let (good, other, evil) = (
        "https://app.example.com/a",
        "myapp://callback",
        "https://evil.net",
    );
    assert_eq!(rules.choose(good, other, ""), good);
    assert_eq!(rules.choose("", other, good), other);
    assert_eq!(rules.choose(evil, good, ""), SITE);
    assert_eq!(rules.choose(evil, good, other), other);
    assert_eq!(rules.choose("", evil, evil), SITE);
    assert_eq!(rules.choose("", "", ""), SITE);
}

#[test]
fn the_site_itself_needs_no_pattern() {
    assert_eq!(
        allowed(
            &[],
            &[
                SITE,
                "https://app.example.com/any?x#y z",
                "HTTPS://app.example.com/\"<>'",
                "https://user:pw@app.example.com/",
                "https://APP.example.com/",
                "https://app.example.com:443/",
                "http://app.example.com/",
            ]
        ),
        [
            SITE,
            "https://app.example.com/any?x#y z",
            "HTTPS://app.example.com/\"<>'",
            "https://user:pw@app.example.com/"
        ]
    );
    let native = RedirectRules::new("http://localhost:3000", &[]).unwrap();
    assert!(
        native.allows("http://localhost:49152/cb"),
        "RFC 8252: any port"
    );
    let unicode = RedirectRules::new("https://bücher.example", &[]).unwrap();
    assert!(
        unicode.allows("https://bücher.example/") && unicode.allows("https://b%C3%BCcher.example/")
    );
    assert!(
        !unicode.allows("https://bu\u{308}cher.example/"),
        "a browser goes to the same host, GoTrue compares the text"
    );
}

#[test]
fn a_bad_pattern_is_named() {
    let error = RedirectRules::new(
        SITE,
        &["https://ok.example".to_owned(), "https://[a".to_owned()],
    )
    .unwrap_err();
    assert_eq!(error, r#""https://[a": a class without ]"#);
}
