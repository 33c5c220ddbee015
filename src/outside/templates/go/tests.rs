use proptest::prelude::*;
use serde_json::json;

use super::{GoTemplate, Problem};

/// What Go 1.26 made of a few hundred templates: `recorded.json` holds the data, and for `html/template` and
/// `text/template` pairs of template and output; null where Go refuses the template or fails while running it.
#[test]
fn go_makes_the_same_of_it() {
    let recorded: serde_json::Value = serde_json::from_str(include_str!("recorded.json")).unwrap();
    for (package, parse) in [
        (
            "html",
            GoTemplate::html as fn(&str) -> Result<GoTemplate, Problem>,
        ),
        ("text", GoTemplate::text),
    ] {
        let cases = recorded[package].as_array().unwrap();
        assert!(cases.len() > 80);
        for case in cases {
            let source = case[0].as_str().unwrap();
            let ours = parse(source)
                .and_then(|template| template.render(recorded["data"].as_object().unwrap()))
                .ok();
            assert_eq!(ours.as_deref(), case[1].as_str(), "{package}: {source}");
        }
    }
}

fn html(source: &str, data: &serde_json::Value) -> Result<String, String> {
    GoTemplate::html(source)
        .and_then(|template| template.render(data.as_object().unwrap()))
        .map_err(|problem| problem.to_string())
}

#[test]
fn a_value_is_never_read_as_a_template() {
    let data = json!({ "Data": { "name": "{{ .Token }}{{ printf \"%1000000d\" 1 }}" }, "Token": "123456" });
    assert_eq!(
        html("Hello {{ .Data.name }}", &data).unwrap(),
        "Hello {{ .Token }}{{ printf &#34;%1000000d&#34; 1 }}"
    );
}

#[test]
fn problems_name_their_line() {
    let problem = |source: &str| html(source, &json!({ "x": "y" })).unwrap_err();
    assert_eq!(
        problem("a\nb {{ upper .x }}"),
        "line 2: function \"upper\" not defined"
    );
    assert_eq!(problem("\n\n{{ if .x }}"), "line 3: unexpected EOF");
    assert_eq!(
        problem("\n{{ .x.y }}"),
        "line 2: can't evaluate field y in type string"
    );
    assert_eq!(
        problem("<p>\n<a href=\"{{ if .x }}x\"{{ end }}>"),
        "line 2: {{if}} branches end in different contexts: Tag, Url"
    );
    assert_eq!(
        problem("<p>\n\n<a 'b'>"),
        "line 3: '\\'' in attribute name: \"'b'>\""
    );
    assert_eq!(
        problem("\n{{ template \"no\" }}"),
        "line 2: no such template \"no\""
    );
}

/// Tests run on threads with the stack of a tokio worker.
#[test]
fn depth_is_bounded() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}x{}", open.repeat(depth), close.repeat(depth))
    };
    let data = json!({ "x": [[1]] });
    assert!(html(&nested("{{ if .x }}", "{{ end }}", 50), &data).is_ok());
    assert!(html(&nested("{{ if .x }}", "{{ end }}", 51), &data).is_err());
    assert!(html(&format!("{{{{ {} }}}}", nested("(", ")", 100_000)), &data).is_err());
    assert!(html(&nested("{{ range .x }}", "{{ end }}", 40), &data).is_err());

    let forever = "{{ define \"a\" }}{{ if . }}{{ template \"a\" . }}{{ end }}{{ end }}{{ template \"a\" . }}";
    assert_eq!(
        html(forever, &data).unwrap_err(),
        "line 1: exceeded maximum template depth"
    );

    let chain: String = (0..20_000)
        .map(|n| {
            format!(
                "{{{{ define \"t{n}\" }}}}{{{{ template \"t{}\" }}}}{{{{ end }}}}",
                n + 1
            )
        })
        .collect::<Vec<_>>()
        .concat();
    assert!(html(&format!("{chain}{{{{ template \"t0\" }}}}"), &data).is_err());
}

#[test]
fn work_is_bounded() {
    let many: Vec<_> = (0..3_000).collect();
    let data = json!({ "many": many, "text": "x".repeat(100_000) });
    for source in [
        "{{ range .many }}{{ range $.many }}{{ end }}{{ end }}",
        "{{ range 1000000000 }}{{ end }}",
        "{{ range .many }}{{ $.text }}{{ end }}",
        "{{ range .many }}{{ $.many }}{{ end }}",
        "{{ $x := \"ab\" }}{{ range 60 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}",
        "{{ printf \"%999999999d\" 1 }}",
        "{{ range 100000 }}{{ $x := print $.text $.text }}{{ end }}",
    ] {
        assert!(html(source, &data).is_err(), "{source}");
    }
    let wide = "{{ range .many }}".repeat(30) + &"<p>x</p>".repeat(1000) + &"{{ end }}".repeat(30);
    assert!(html(&wide, &data).is_err());
}

proptest! {
    #[test]
    fn no_source_is_too_strange(source in "(\\{\\{|\\}\\}|[ -~\n]|é|<a href=\"|<script>|\\{\\{ \\.x \\}\\}|\\{\\{ end \\}\\}|\\{\\{ range \\.x \\}\\}){0,40}") {
        let data = json!({ "x": ["<", { "y": null }] });
        for parse in [GoTemplate::html, GoTemplate::text] {
            if let Ok(template) = parse(&source) {
                let _ = template.render(data.as_object().unwrap());
            }
        }
    }

    /// What stands in for a value in text or an attribute cannot leave its place.
    #[test]
    fn a_value_stays_where_it_stands(value in "\\PC*") {
        let data = json!({ "x": value });
        let text = html("<p>{{ .x }}</p>", &data).unwrap();
        let inner = text.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>")).unwrap();
        prop_assert!(!inner.contains(['<', '>', '"', '\'']));
        let link = html("<a href=\"{{ .x }}\">", &data).unwrap();
        let inner = link.strip_prefix("<a href=\"").and_then(|rest| rest.strip_suffix("\">")).unwrap();
        prop_assert!(!inner.contains(['<', '>', '"', '\'', ' ']));
        let script = html("<script>var x = {{ .x }};</script>", &data).unwrap();
        prop_assert_eq!(script.matches('<').count(), 2);
    }
}
