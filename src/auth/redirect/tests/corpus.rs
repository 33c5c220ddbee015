use url::{Host, Url};

use super::rules;

/// Everything an attacker may write for a host, around hosts that the lists below do allow.
fn corpus() -> Vec<String> {
    let hosts = r"allowed.com evil.com allowed.com.evil.com evil.com.allowed.com allowed.community notallowed.com
        x.example.com x.example.com.evil.com fooaexample.com localhost localhost.evil.com 127.0.0.1 127.0.0.1.evil.com
        127.1 0177.0.0.1 0x7f.0.0.1 2130706433 0x7f000001 10.0.0.1 [::1] [::ffff:10.0.0.1] [fe80::1%25eth0] ALLOWED.COM
        allowed.com. allowed。com ａllowed.com allowed.com%2eevil.com allowed.com%00.evil.com allowed.com\.evil.com
        evil.com\.allowed.com allowed.com%E3%80%82evil.com xn--llowed-9za.com -bad.com a_b.example.com
        allowed.com:80:evil.com";
    let users = r"user@ user:pw@ allowed.com@ allowed.com%40 allowed.com:80@ allowed.com\@ a@b@ x.example.com/@";
    let schemes = r"https:// http:// HTTPS:// https: https:/ https:/// https:/\ https:\\ // /// /\ ftp:// ws://
        javascript:// myapp:// file:// intent://";
    let blank_schemes = [
        "/\t/",
        " https://",
        "ht\ntps://",
        "https://\t",
        "\u{1}https://",
    ];
    let tails = r"/ /docs /docss /x.example.com/ /.example.com/ ?.example.com/ ?https://allowed.com/ #https://allowed.com/
        /allowed.com /\evil.com /..//evil.com /%2f%2fevil.com :443/ :3000/x :@evil.com/ @evil.com/ ;@evil.com";
    let mut corpus = Vec::new();
    for host in hosts.split_whitespace().chain([""]) {
        for scheme in schemes.split_whitespace().chain(blank_schemes) {
            corpus.extend(["", "/docs"].map(|tail| format!("{scheme}{host}{tail}")));
        }
        for tail in tails.split_whitespace() {
            corpus.extend(["https", "http"].map(|scheme| format!("{scheme}://{host}{tail}")));
        }
        corpus.extend(
            users
                .split_whitespace()
                .map(|user| format!("https://{user}{host}/docs")),
        );
    }
    assert!(corpus.len() > 2000);
    corpus
}

/// Patterns, and which hosts they mean.
type List = (&'static [&'static str], fn(&str) -> bool);

/// Allow-lists with the hosts that their author meant.
const LISTS: [List; 12] = [
    (&[], |_| false),
    (&["https://allowed.com/docs"], |host| host == "allowed.com"),
    (
        &["https://allowed.com/**", "http://allowed.com:3000/**"],
        |host| host == "allowed.com",
    ),
    (&["https://allowed.com**"], |host| host == "allowed.com"),
    (
        &["https://allowed.com*", "https://allowed.com?**"],
        |host| host == "allowed.com",
    ),
    (&["http*://allowed.com**", "**://allowed.com*/**"], |host| {
        host == "allowed.com"
    }),
    (&["https://*.example.com/**"], |host| {
        host.ends_with(".example.com")
    }),
    (
        &["https://**.example.com/**", "https://**.example.com**"],
        |host| host.ends_with(".example.com"),
    ),
    (&["**.example.com/**"], |host| {
        host.ends_with(".example.com")
    }),
    (&["**allowed.com**"], |host| host.ends_with("allowed.com")),
    (
        &["http://localhost:3000/**", "http://localhost**"],
        |host| host == "localhost",
    ),
    (&["http://127.0.0.**", "https://10.0.0.1**"], |_| false),
];

#[test]
fn a_browser_goes_only_where_the_list_says() {
    for (allow_list, is_meant) in LISTS {
        let rules = rules(allow_list);
        let mut count = 0;
        for url in corpus().iter().filter(|url| rules.allows(url)) {
            // The Location header carries the text as it is; relative texts would be resolved against the server.
            let seen = Url::parse("https://auth.example.com/verify")
                .unwrap()
                .join(url)
                .unwrap();
            let is_fine = match seen.host() {
                Some(Host::Domain(host)) if seen.scheme() == "myapp" => host == "127.0.0.1",
                Some(Host::Domain(host)) => host == "app.example.com" || is_meant(host),
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            };
            assert!(is_fine, "{allow_list:?} sends browsers to {seen} ({url:?})");
            count += 1;
        }
        assert!(
            count > 0,
            "{allow_list:?} allows nothing of the corpus, so this proves nothing"
        );
    }
}
