use super::allowed;

#[test]
fn attack_010_suffix_domain() {
    let attacks = [
        "https://allowed.com.evil.com",
        "https://allowed.com.evil.com/",
        "https://allowed.community",
        "https://allowed.com-evil.com/",
    ];
    for pattern in [
        "https://allowed.com",
        "https://allowed.com/",
        "https://allowed.com/**",
        "https://allowed.com**",
        "https://allowed.com*",
    ] {
        assert!(allowed(&[pattern], &attacks).is_empty(), "{pattern}");
    }
    assert!(
        allowed(
            &["https://fooa.example.com/**"],
            &["https://fooaexample.com/", "https://fooa-example.com/"]
        )
        .is_empty()
    );
    assert_eq!(
        allowed(&["https://preview-**"], &["https://preview-1.vercel.app/x"]).len(),
        1,
        "an open end is the operator's word"
    );
}

#[test]
fn attack_011_prefix_path() {
    let urls = [
        "https://allowed.com/docs",
        "https://allowed.com/docss",
        "https://allowed.com/docs/x",
        "https://allowed.com/docs?x",
    ];
    assert_eq!(
        allowed(&["https://allowed.com/docs"], &urls),
        ["https://allowed.com/docs"]
    );
    assert_eq!(
        allowed(&["https://allowed.com/docs/*"], &urls),
        ["https://allowed.com/docs/x"]
    );
}

#[test]
fn attack_012_userinfo() {
    let attacks = [
        "https://allowed.com@evil.com",
        "https://allowed.com%40evil.com/",
        "https://localhost@evil.com",
        "https://allowed.com:80@evil.com/",
        "https://a@allowed.com@evil.com/",
        "https://app.example.com@evil.com/",
        "http://localhost:3000@evil.com/",
    ];
    let lists = [
        "https://allowed.com**",
        "https://allowed.com*/**",
        "https://allowed.com:*/**",
        "http://localhost:**",
        "https://allowed.com/**",
    ];
    assert!(allowed(&lists, &attacks).is_empty());
    // User and password of a staging site still work, where the host is meant.
    assert_eq!(
        allowed(
            &["https://**.example.com/**"],
            &["https://user:pw@staging.example.com/"]
        )
        .len(),
        1
    );
    assert_eq!(
        allowed(
            &["https://staging.example.com/**"],
            &["https://user:pw@staging.example.com/"]
        )
        .len(),
        0,
        "as GoTrue"
    );
}

#[test]
fn attack_013_slashes_and_blanks() {
    let attacks = [
        r"https://allowed.com\@evil.com",
        r"https:/\evil.com",
        r"/\evil.com",
        "//evil.com",
        "///evil.com",
        "/\tevil",
        "/\t/evil.com",
        "https:evil.com",
        "https:/evil.com",
        "https:///evil.com",
        " https://evil.com",
        "https://evil.com\t",
        "\u{1}https://evil.com",
        "https://ev\nil.com",
        "https://allowed.com/#\r\nSet-Cookie: a=b",
    ];
    let lists = [
        "https://allowed.com**",
        "https://allowed.com/**",
        "/**",
        "//**",
        "https:/**",
        "https://allowed.com\\\\**",
    ];
    assert!(
        allowed(&lists, &attacks).is_empty(),
        "{:?}",
        allowed(&lists, &attacks)
    );
}

#[test]
fn attack_015_query_and_fragment() {
    let attacks = [
        "https://evil.com#https://allowed.com",
        "https://evil.com/#.allowed.com/",
        "https://evil.com?x=https://allowed.com/",
        "https://evil.com/https://allowed.com/",
        "https://evil.com?.allowed.com/",
        "https://evil.com/x.allowed.com/",
    ];
    let lists = [
        "https://allowed.com/**",
        "https://**.allowed.com/**",
        "**allowed.com/**",
        "**://allowed.com/**",
        "https://**allowed.com/",
    ];
    assert!(
        allowed(&lists, &attacks).is_empty(),
        "{:?}",
        allowed(&lists, &attacks)
    );
}

#[test]
fn attack_017_ip_literals() {
    let attacks = [
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1%25eth0]/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://127.0.0.1.evil.com/",
        "http://127.0.0.1@evil.com/",
        "http://[::1]@evil.com/",
    ];
    let lists = ["http://**", "**", "http://10.0.0.1/**", "http://127.0.0.**"];
    let rest = allowed(&lists, &attacks);
    assert_eq!(
        rest,
        ["http://127.0.0.1.evil.com/", "http://127.0.0.1@evil.com/"],
        "names, allowed by **"
    );
    assert!(
        allowed(
            &[
                "http://10.0.0.1/**",
                "http://127.0.0.**",
                "http://127.0.0.1**"
            ],
            &attacks
        )
        .is_empty()
    );
    let loopback = [
        "http://127.0.0.1:1/",
        "http://127.8.9.1/",
        "http://[::1]:5000/x",
        "http://[::ffff:127.0.0.1]/",
        "exp://127.0.0.1:8081/--/auth",
    ];
    assert_eq!(
        allowed(&[], &loopback),
        loopback,
        "as GoTrue: native apps need no pattern"
    );
}

#[test]
fn attack_018_schemes() {
    let scripts = [
        "javascript:alert(1)",
        "JavaScript:alert(1)//https://allowed.com",
        "javascript://127.0.0.1/%0aalert(1)",
        "data:text/html,x",
        "vbscript:x",
        "blob:https://allowed.com/x",
        "about:blank",
        "javascript:alert(1)#https://allowed.com",
    ];
    assert!(
        allowed(
            &[
                "**",
                "javascript:**",
                "data:**",
                "vbscript:**",
                "blob:**",
                "about:blank"
            ],
            &scripts
        )
        .is_empty()
    );
    let delicate = [
        "file:///etc/passwd",
        "file://127.0.0.1/x",
        "intent://127.0.0.1/#Intent;end",
        "intent://x#Intent;end",
    ];
    assert!(allowed(&["**", "*://**", "http*://**"], &delicate).is_empty());
    assert_eq!(
        allowed(&["file:///etc/*", "intent://x"], &delicate),
        ["file:///etc/passwd", "intent://x#Intent;end"]
    );
    let custom = [
        "myapp://callback",
        "myapp:callback",
        "MYAPP://callback",
        "evilapp://callback",
    ];
    assert!(
        allowed(
            &[
                "*://callback",
                "?yapp://callback",
                "**/callback",
                "http*://**",
                "https://**"
            ],
            &custom
        )
        .is_empty()
    );
    assert_eq!(
        allowed(&["myapp://callback", "myapp:*"], &custom),
        ["myapp://callback", "myapp:callback"]
    );
    assert_eq!(
        allowed(&["**"], &custom),
        custom,
        "everything is the operator's word"
    );
}

#[test]
fn attack_019_glob_crossing() {
    assert!(
        allowed(
            &["https://*.example.com/**"],
            &[
                "https://a.b.example.com/",
                "https://evil.com/a.example.com/"
            ]
        )
        .is_empty()
    );
    assert!(
        allowed(
            &["https://**.example.com/**"],
            &[
                "https://evil.com/a.example.com/",
                "https://evil.com/.example.com/x"
            ]
        )
        .is_empty()
    );
    assert!(
        allowed(
            &["https://allowed.com/*"],
            &["https://allowed.com/a/b", "https://allowed.com/a.b"]
        )
        .is_empty()
    );
    let ports = [
        "https://allowed.com:444/",
        "https://allowed.com:443/",
        "HTTPS://allowed.com/",
        "https://ALLOWED.com/",
    ];
    assert!(
        allowed(&["https://allowed.com/**"], &ports).is_empty(),
        "the text is compared, as GoTrue"
    );
    assert_eq!(
        allowed(
            &["https://**/callback"],
            &["https://any.com/a/b/callback", "https://any.com/x"]
        ),
        ["https://any.com/a/b/callback"]
    );
}
