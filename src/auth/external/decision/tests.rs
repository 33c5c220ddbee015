//! Every line of the decision, on accounts that need no database.

use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::config::Config;
use crate::json::object;
use crate::models::identity::Identity;

const AUD: &str = "authenticated";

/// `google` and `x` are of one domain, `github` is one by itself, all others are of the default domain.
fn domains() -> LinkingDomains {
    let config = Config::from_pairs([
        ("GOTRUE_SITE_URL", "https://app.example.com"),
        ("API_EXTERNAL_URL", "https://auth.example.com"),
        ("DATABASE_URL", "postgres://localhost/app"),
        (
            "GOTRUE_JWT_SECRET",
            "a secret that is long enough for everybody",
        ),
        (
            "GOTRUE_EXPERIMENTAL_PROVIDER_LINKING_DOMAINS",
            "google=social,x=social,github=github",
        ),
    ]);
    config.unwrap().experimental.provider_linking_domains
}

fn account(email: &str, identities: &[(&str, &str, &str)]) -> User {
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let email = Some(email).filter(|email| !email.is_empty());
    let mut user = User::new(AUD, email.map(str::to_owned), None, now);
    for (provider, sub, email) in identities {
        let claims = object(json!({ "sub": sub, "email": email }));
        user.identities
            .push(Identity::new(user.id, provider, claims, now));
    }
    user
}

fn email(email: &str, verified: bool) -> Email {
    Email {
        email: email.to_owned(),
        verified,
        primary: true,
    }
}

/// In words: whose account it is, with the address of the account.
fn decide(provider: &str, emails: &[Email], trusts_all: bool, acquainted: Vec<User>) -> String {
    let newcomer = Newcomer {
        provider,
        sub: "me",
        emails,
        aud: AUD,
        trusts_all,
    };
    match newcomer.decide(&domains(), acquainted) {
        Decision::Known(user) => format!("known {}", user.email()),
        Decision::Link(user) => format!("link {}", user.email()),
        Decision::New { email } => format!("new {}", email.as_deref().unwrap_or("-")),
        Decision::Several => "several".to_owned(),
    }
}

#[test]
fn an_identity_is_known_whatever_its_address_is_by_now() {
    let other = account("a@x", &[("email", "1", "a@x")]);
    let own = account("old@x", &[("gitlab", "me", "old@x")]);
    for verified in [true, false] {
        let all = vec![other.clone(), own.clone()];
        assert_eq!(
            decide("gitlab", &[email("a@x", verified)], false, all),
            "known old@x"
        );
    }
    // The same subject at another provider is somebody else.
    assert_eq!(decide("zoom", &[], false, vec![own]), "new -");
}

#[test]
fn only_a_verified_address_links() {
    let own = || vec![account("a@x", &[("email", "1", "a@x")])];
    assert_eq!(
        decide("gitlab", &[email("A@X", true)], false, own()),
        "link a@x"
    );
    assert_eq!(
        decide("gitlab", &[email("a@x", false)], true, own()),
        "link a@x"
    );
    // Not verified: an account of its own, without the address that somebody has.
    assert_eq!(
        decide("gitlab", &[email("A@x", false)], false, own()),
        "new -"
    );
    assert_eq!(
        decide("gitlab", &[email("b@x", false)], false, own()),
        "new b@x"
    );
    let mut elsewhere = own();
    elsewhere[0].aud = "other".to_owned();
    assert_eq!(
        decide("gitlab", &[email("a@x", false)], false, elsewhere),
        "new a@x"
    );
}

#[test]
fn an_address_that_is_not_primary_links_and_makes_no_account() {
    let second = Email {
        primary: false,
        ..email("a@x", true)
    };
    let own = vec![account("a@x", &[("email", "1", "a@x")])];
    let emails = [email("b@x", false), second.clone()];
    assert_eq!(decide("gitlab", &emails, false, own), "link a@x");
    assert_eq!(decide("gitlab", &emails, false, Vec::new()), "new b@x");
    assert_eq!(decide("gitlab", &[second], false, Vec::new()), "new -");
}

#[test]
fn accounts_are_linked_within_a_domain_only() {
    let by_email = account("a@x", &[("email", "1", "a@x")]);
    let social = account("a@x", &[("x", "1", "a@x")]);
    let verified = [email("a@x", true)];
    let all = || vec![by_email.clone(), social.clone()];
    assert_eq!(
        decide("google", &verified, false, vec![by_email.clone()]),
        "new a@x"
    );
    assert_eq!(decide("github", &verified, false, all()), "new a@x");
    assert_eq!(decide("google", &verified, false, all()), "link a@x");
    assert_eq!(decide("sso:1", &verified, false, all()), "new a@x");
    let sso = account("a@x", &[("sso:1", "1", "a@x")]);
    assert_eq!(
        decide(
            "gitlab",
            &verified,
            false,
            vec![sso.clone(), by_email.clone()]
        ),
        "link a@x"
    );
    assert_eq!(
        decide("sso:1", &verified, false, vec![sso, by_email.clone()]),
        "link a@x"
    );
}

#[test]
fn an_account_without_identities_is_found_by_its_own_address() {
    let verified = [email("a@x", true)];
    let bare = account("a@x", &[]);
    assert_eq!(
        decide("gitlab", &verified, false, vec![bare.clone()]),
        "link a@x"
    );
    assert_eq!(
        decide("google", &verified, false, vec![bare.clone()]),
        "new a@x"
    );
    let sso = User {
        is_sso_user: true,
        ..bare
    };
    assert_eq!(decide("gitlab", &verified, false, vec![sso]), "new a@x");
}

#[test]
fn nobody_decides_between_two_accounts() {
    let one = account("a@x", &[("email", "1", "a@x")]);
    let two = account("b@x", &[("zoom", "2", "b@x")]);
    let emails = [
        email("a@x", true),
        Email {
            primary: false,
            ..email("b@x", true)
        },
    ];
    assert_eq!(
        decide("gitlab", &emails, false, vec![one.clone(), two]),
        "several"
    );
    // One who has both is one.
    let both = account("a@x", &[("email", "1", "a@x"), ("zoom", "2", "b@x")]);
    assert_eq!(decide("gitlab", &emails, false, vec![both]), "link a@x");
    // An identity goes before an account's own address.
    let bare = account("b@x", &[]);
    assert_eq!(
        decide("gitlab", &emails, false, vec![bare, one]),
        "link a@x"
    );
}

#[test]
fn addresses_are_looked_up_in_lower_case() {
    let newcomer = |emails| Newcomer {
        provider: "gitlab",
        sub: "me",
        emails,
        aud: AUD,
        trusts_all: false,
    };
    let second = Email {
        primary: false,
        ..email("B@X", false)
    };
    let emails = [email("A@X", true), second.clone()];
    assert_eq!(newcomer(&emails).contacts(), ["a@x"]);
    assert!(
        newcomer(&emails).owns("a@x")
            && newcomer(&emails).owns("")
            && !newcomer(&emails).owns("b@x")
    );
    let emails = [email("A@X", false), second];
    assert_eq!(newcomer(&emails).contacts(), ["a@x"]);
    assert!(!newcomer(&emails).owns("a@x") && !newcomer(&emails).owns(""));
    assert!(newcomer(&[email("", false)]).contacts().is_empty());
}

/// As in GoTrue: what is verified beside it finds an account, and confirms none.
#[test]
fn only_a_verified_primary_address_confirms() {
    let second = Email {
        primary: false,
        ..email("a@x", true)
    };
    let owns = |emails: &[Email], trusts_all| {
        let newcomer = Newcomer {
            provider: "gitlab",
            sub: "me",
            emails,
            aud: AUD,
            trusts_all,
        };
        ["", "a@x"].map(|email| newcomer.owns(email))
    };
    let beside = |primary| [second.clone(), primary];
    assert_eq!(owns(std::slice::from_ref(&second), false), [false; 2]);
    assert_eq!(owns(&beside(email("b@x", false)), false), [false; 2]);
    assert_eq!(owns(&beside(email("b@x", true)), false), [true; 2]);
    assert_eq!(owns(&[email("b@x", true)], false), [true, false]);
    assert_eq!(owns(&[second], true), [true; 2]);
}

#[test]
fn attack_072_a_planted_address_leads_to_nobody() {
    let owner = account("a@x", &[("email", "1", "a@x")]);
    let planted = account("evil@x", &[("email", "2", "evil@x"), ("zoom", "2", "a@x")]);
    let nameless = account("", &[("zoom", "3", "a@x")]);
    let verified = [email("a@x", true)];
    let all = vec![planted.clone(), owner, nameless.clone()];
    assert_eq!(decide("gitlab", &verified, false, all), "link a@x");
    for one in [planted.clone(), nameless] {
        assert_eq!(decide("gitlab", &verified, false, vec![one]), "new a@x");
    }
    // What a provider has vouched for is the person's, and where settings say so, everything is.
    let mut vouched = planted.clone();
    let claims = &mut vouched.identities[1].identity_data;
    claims.insert("email_verified".into(), true.into());
    assert_eq!(
        decide("gitlab", &verified, false, vec![vouched]),
        "link evil@x"
    );
    assert_eq!(
        decide("gitlab", &verified, true, vec![planted]),
        "link evil@x"
    );
}
