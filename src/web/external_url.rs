//! Under which URL this server is known to the one who asks: the base of links in mails (GoTrue's
//! `api/middleware.go`, `isValidExternalHost`). Whoever may choose it can send others' tokens to himself, so it is
//! the configured one, unless a host on `MAILER_EXTERNAL_HOSTS` is named.

use http::Version;
use http::request::Parts;
use url::Url;

use super::client_ip::first_line;

/// The base of links: `https://` and the host that `X-Forwarded-Host` names, or in its absence the URL of a request
/// in absolute form, if that is exactly one of `hosts`; else `configured` (`API_EXTERNAL_URL`). The Host header
/// says nothing.
#[must_use]
pub fn external_url(request: &Parts, hosts: &[String], configured: &Url) -> Url {
    let forwarded =
        first_line(&request.headers, "x-forwarded-host").filter(|host| !host.is_empty());
    // In HTTP/2 every request has an authority; it is the Host header of old.
    let absolute = request
        .uri
        .host()
        .filter(|_| request.version <= Version::HTTP_11);
    let listed = forwarded
        .or(absolute)
        .filter(|asked| hosts.iter().any(|host| host == asked));
    let Some(host) = listed else {
        return configured.clone();
    };
    let is_http = first_line(&request.headers, "x-forwarded-proto") == Some("http")
        || absolute.is_some() && request.uri.scheme_str() == Some("http");
    let scheme = if host == "localhost" && is_http {
        "http"
    } else {
        "https"
    };
    Url::parse(&format!("{scheme}://{host}")).unwrap_or_else(|_| configured.clone())
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use super::external_url;

    const CONFIGURED: &str = "https://auth.example.com/base";

    fn url(request: http::request::Builder, hosts: &[String]) -> String {
        let configured = CONFIGURED.parse().unwrap();
        external_url(
            &request.body(()).unwrap().into_parts().0,
            hosts,
            &configured,
        )
        .to_string()
    }

    fn base(hosts: &[&str], uri: &str, lines: &[(&str, &str)]) -> String {
        let mut request = Request::builder().uri(uri).version(Version::HTTP_11);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        url(request, &hosts)
    }

    #[test]
    fn a_listed_host_is_believed() {
        let hosts = ["good.tld", "localhost"];
        assert_eq!(
            base(&hosts, "/otp", &[("x-forwarded-host", "good.tld")]),
            "https://good.tld/"
        );
        assert_eq!(
            base(&hosts, "http://good.tld/otp", &[]),
            "https://good.tld/"
        );
        assert_eq!(
            base(&hosts, "/otp", &[("x-forwarded-host", "localhost")]),
            "https://localhost/"
        );
        let http = ("x-forwarded-proto", "http");
        assert_eq!(
            base(&hosts, "/otp", &[("x-forwarded-host", "localhost"), http]),
            "http://localhost/"
        );
        assert_eq!(
            base(&hosts, "http://localhost/otp", &[]),
            "http://localhost/"
        );
        assert_eq!(
            base(&hosts, "/otp", &[("x-forwarded-host", "good.tld"), http]),
            "https://good.tld/"
        );
        assert_eq!(
            base(
                &hosts,
                "http://good.tld/otp",
                &[("x-forwarded-host", "evil.tld")]
            ),
            CONFIGURED
        );
    }

    #[test]
    fn attack_001_forged_hosts() {
        let forgeries: [&[(&str, &str)]; 12] = [
            &[("x-forwarded-host", "evil.tld")],
            &[
                ("x-forwarded-host", "evil.tld"),
                ("x-forwarded-host", "good.tld"),
            ],
            &[("x-forwarded-host", "good.tld, evil.tld")],
            &[("x-forwarded-host", "good.tld:443")],
            &[("x-forwarded-host", "good.tld@evil.tld")],
            &[("x-forwarded-host", "GOOD.TLD")],
            &[("host", "evil.tld"), ("host", "good.tld")],
            &[("host", "good.tld:evil")],
            &[("x-forwarded-proto", "http"), ("host", "good.tld")],
            &[
                ("forwarded", "host=evil.tld"),
                ("forwarded", "host=good.tld"),
            ],
            &[("x-original-host", "good.tld")],
            &[("x-http-host-override", "good.tld")],
        ];
        for lines in forgeries {
            for hosts in [&[][..], &["good.tld"]] {
                assert_eq!(base(hosts, "/recover", lines), CONFIGURED, "{lines:?}");
            }
        }
        assert_eq!(
            base(&["good.tld"], "http://evil.tld/recover", &[]),
            CONFIGURED
        );
        assert_eq!(base(&[], "http://good.tld/recover", &[]), CONFIGURED);

        let request = Request::builder()
            .version(Version::HTTP_2)
            .uri("https://good.tld/recover");
        assert_eq!(
            url(request, &["good.tld".to_owned()]),
            CONFIGURED,
            "HTTP/2's Host header"
        );
    }
}
