use proptest::prelude::*;

use super::{
    is_authorized, is_channel, is_email, normalise_phone, parse_email, parse_phone, plausible,
};
use crate::error::{Error, Result};

fn message<T>(result: Result<T>) -> String {
    match result {
        Err(Error::Refused(refusal)) => format!(
            "{} {}: {}",
            refusal.status.as_u16(),
            refusal.code.as_str(),
            refusal.message
        ),
        Err(other) => panic!("{other:?}"),
        Ok(_) => "fine".to_owned(),
    }
}

const BAD_FORMAT: &str = "400 validation_failed: Unable to validate email address: invalid format";

#[test]
fn addresses() {
    assert_eq!(
        parse_email("Ann.O'Neil+x@Example.COM").unwrap(),
        "ann.o'neil+x@example.com"
    );
    assert_eq!(parse_email("a@b").unwrap(), "a@b", "no dot is needed");
    assert_eq!(
        parse_email(".a..b.@x-y.z").unwrap(),
        ".a..b.@x-y.z",
        "as HTML has it"
    );
    assert_eq!(
        message(parse_email("")),
        "400 validation_failed: An email address is required"
    );
    let long = |length: usize| format!("{}@example.com", "a".repeat(length - 12));
    assert!(parse_email(&long(255)).is_ok());
    assert_eq!(
        message(parse_email(&long(256))),
        "400 validation_failed: An email address is too long"
    );
    for bad in [
        "bad", "@x", "a@", "a@@b", "a@-b", "a@b-", "a@b..c", "a@.b", "a@b.", "a b@c", "a@b c",
        "a@b\n",
    ] {
        assert_eq!(message(parse_email(bad)), BAD_FORMAT, "{bad:?}");
    }
    let label = |length: usize| format!("a@{}.com", "b".repeat(length));
    assert!(parse_email(&label(63)).is_ok() && parse_email(&label(64)).is_err());
}

#[test]
fn attack_009_no_header_lines_in_addresses() {
    for bad in [
        "a@b.c\r\nBcc: d@e.f",
        "a\r\n@b.c",
        "a@b.c\n",
        "a@b.c\0",
        "a@b.c\u{85}x",
        "a@b.c%0d%0aBcc:x",
    ] {
        assert_eq!(message(parse_email(bad)), BAD_FORMAT, "{bad:?}");
    }
}

#[test]
fn attack_074_look_alikes() {
    let attacks = [
        "victim＠x.com",
        "a@b.com＠evil.com",
        "victım@x.com",
        "vİctim@x.com",
        "vi\u{212a}tim@x.com",
        "stra\u{df}e@x.com",
        "stra\u{1e9e}e@x.com",
        "víctim@x.com",
        "vi\u{301}ctim@x.com",
        "vic\u{200d}tim@x.com",
        "\u{202e}mitciv@x.com",
        "victim@x\u{3002}com",
        "victim@ｘ.com",
        "victim@b\u{fc}cher.de",
        "victim@bu\u{308}cher.de",
        "victim@x.com\u{200b}",
        "\u{feff}victim@x.com",
        "victim\u{a0}@x.com",
    ];
    for attack in attacks {
        assert_eq!(message(parse_email(attack)), BAD_FORMAT, "{attack:?}");
    }
}

#[test]
fn attack_075_one_address_and_nothing_else() {
    let attacks = [
        "a@x,b@y",
        "a@x;b@y",
        "\"a@x\"@evil.com",
        "a(comment)@x.com",
        "a@x.com(b@y.com)",
        "<a@x.com>",
        "A <a@x.com>",
        "a@x.com%0a",
        "a@x.com ",
        " a@x.com",
        "a@x.com.",
        "a@x.com\t",
        "a@x.com\\n",
        "a\\@b@x.com",
        "a@[127.0.0.1]",
        "a@x.com b@y.com",
        "a@x.com/b",
        "mailto:a@x.com",
        "a%00@x.com,",
    ];
    for attack in attacks {
        assert_eq!(message(parse_email(attack)), BAD_FORMAT, "{attack:?}");
    }
}

#[test]
fn authorized_addresses() {
    let list = ["Ok@example.com".to_owned(), "b+c@x.y".to_owned()];
    assert!(is_authorized("any@where", &[]));
    for good in ["ok@example.com", "OK+tag@Example.com", "ok+a+b@example.com"] {
        assert!(is_authorized(good, &list), "{good}");
    }
    for bad in [
        "no@example.com",
        "ok+@example.com",
        "b+c@x.y",
        "ok@example.com.evil",
        "ok@example.com@evil",
    ] {
        assert!(!is_authorized(bad, &list), "{bad}: as GoTrue");
    }
}

#[test]
fn extended_validation_without_network() {
    let nonsense = [
        "test@test.com",
        "someone@site.test",
        "someone@host.local",
        "ab@gmail.com",
        "someone@localhost",
        "user@single",
        "test@gmail.com",
        "someone@site.invalid",
        "someone@x.example",
        "a@example.com",
        "abc@gmail.com",
        "user@gmail.com",
        "test@email.com",
        "a@x.local",
        ".a@x.com",
        "a..b@x.com",
        "a.@x.com",
        "\"a\"@x.com",
        "A <a@x.com>",
        "none",
    ];
    for address in nonsense {
        let expected = format!("400 email_address_invalid: Email address {address:?} is invalid");
        assert_eq!(message(plausible(address)), expected);
    }
    for large in [
        "ab.cdef@gmail.com",
        "someone@hotmail.com",
        "someone@outlook.com",
    ] {
        assert_eq!(plausible(large).unwrap(), None, "{large}");
    }
    assert_eq!(plausible("ann@supabase.io").unwrap(), Some("supabase.io"));
}

#[test]
fn phones() {
    assert_eq!(parse_phone("+1 555 123 4567").unwrap(), "15551234567");
    assert_eq!(normalise_phone("+1 23456789 "), "123456789");
    for bad in [
        "",
        "+",
        "0155",
        "5",
        "++1555",
        "1555a",
        "1-555",
        "1234567890123456",
        "１２３４５",
        "+1\t555",
    ] {
        assert_eq!(
            message(parse_phone(bad)),
            "400 validation_failed: Invalid phone number format (E.164 required)",
            "{bad}"
        );
    }
}

#[test]
fn channels() {
    for provider in ["twilio", "twilio_verify"] {
        assert!(is_channel("sms", provider) && is_channel("whatsapp", provider));
    }
    assert!(is_channel("sms", ""));
    for (channel, provider) in [("whatsapp", "vonage"), ("fax", "twilio"), ("SMS", "twilio")] {
        assert!(!is_channel(channel, provider), "{channel}");
    }
}

/// The rule as a machine that reads one character after the other.
fn reference(address: &str) -> bool {
    let (mut local, mut label, mut last) = (0, None, '@');
    for character in address.chars() {
        match label {
            None if character == '@' && local > 0 => label = Some(0),
            None if character.is_ascii_alphanumeric()
                || ".!#$%&'*+/=?^_`{|}~-".contains(character) =>
            {
                local += 1;
            }
            Some(length) if character == '.' && length > 0 && last != '-' => label = Some(0),
            Some(length) if character.is_ascii_alphanumeric() || character == '-' && length > 0 => {
                if length == 63 {
                    return false;
                }
                label = Some(length + 1);
            }
            _ => return false,
        }
        last = character;
    }
    label.is_some_and(|length| length > 0) && last != '-'
}

proptest! {
    #[test]
    fn the_rule_agrees_with_a_reference(address in "[a-cA-C0-9.@+\\- é_]{0,12}|[a-z.]{1,5}@([a-z0-9-]{0,66}\\.?){1,3}|.{0,12}") {
        prop_assert_eq!(is_email(&address), reference(&address));
        if let Ok(stored) = parse_email(&address) {
            prop_assert_eq!(parse_email(&stored).unwrap(), stored);
        }
    }
}
