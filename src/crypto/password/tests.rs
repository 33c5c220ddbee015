use proptest::prelude::*;

use super::*;

/// From GoTrue's recording admin/admin-password-hash.json: each is of `imported-secret-1`.
const IMPORTED: [&str; 6] = [
    "$2y$10$XETDD4rdBngrC2etiAyPCugfQvmiYhFiqZtyTqb1.oxmFsFPuQvRq",
    "$2b$04$e1n7s8QHzDsGl7U6lbI/uOQQALyZ1MNPa6TBPrcuKdL7Hq7EUGEN2",
    "$2b$11$K4FNPuxmf.QtE1Hh2Mp2lOelKh9orS/GEvC9E4mAp.uJapeWP.rt.",
    "$argon2i$v=19$m=64,t=2,p=1$6amy1iu3nfzXH8meVYAgbg$TBNvxGaA3opOBaSSzLO2s4tY4Yy8TA9hc1MuiY2BwJQ",
    "$argon2id$v=19$m=64,t=2,p=1$0mCCNvTGxbF49r/k/9H1iA$yoyG4dLXRFgkFAGxk6l55PdxVI3O8JwMhKwBe3y2p9s",
    "$fbscrypt$v=1,n=12,r=8,p=1,ss=Ag==,sk=THBO6dhRSNS8liKxghaH3AP+VJ0DNx/Y31D/qh15y4bf82qSkBKOARpcU6DyyDhIJ1etSaw0/Kz9Z1aylpud7A==$4vQYeSlnJ/lWcw==$w1q89oQDPAk8oBm+i/EJSolvLCCqQGYJl7DQWqoHSrxl+h38dHnx4Em1wFtOBu14QsHSxbhjRzUaHIZTad4n8A==",
];

fn fits(stored: &str, password: impl AsRef<[u8]>) -> bool {
    PasswordHash::parse(stored)
        .unwrap()
        .verify(password.as_ref(), &mut Memory::default())
}

#[test]
fn every_family_of_gotrue_verifies() {
    for stored in IMPORTED {
        assert!(fits(stored, "imported-secret-1"), "{stored}");
        for wrong in ["wrong", "", "imported-secret-1 ", "imported-secret-1x"] {
            assert!(!fits(stored, wrong), "{stored}");
        }
    }
    // Lanes, and more memory than is kept: made by Go's x/crypto.
    for stored in [
        "$argon2id$v=19$m=256,t=3,p=4$c2l4dGVlbiBieXRlcyBvaw$eFGCIDcmbwVr417mzfPJSA6Vv7cQsl+8",
        "$argon2i$v=19$m=70000,t=1,p=2$c2l4dGVlbiBieXRlcyBvaw$Fc1FAEwQc69GEVzUCdsHgA",
    ] {
        assert!(fits(stored, "password") && !fits(stored, "Password"));
    }
}

#[test]
fn new_hashes_verify_in_the_form_gotrue_reads() {
    let mut memory = Memory::default();
    for (scheme, start, length) in [
        (Scheme::ARGON2ID, "$argon2id$v=19$m=19456,t=2,p=1$", 97),
        (
            Scheme::Argon2id {
                memory: 8,
                passes: 1,
                lanes: 1,
            },
            "$argon2id$v=19$m=8,t=1,p=1$",
            93,
        ),
        (Scheme::Bcrypt { cost: 4 }, "$2a$04$", 60),
    ] {
        let (one, two) = (
            scheme.hash(b"pass\0word", &mut memory).unwrap(),
            scheme.hash(b"pass\0word", &mut memory).unwrap(),
        );
        assert!(one.starts_with(start), "{one}");
        assert_eq!(one.len(), length);
        assert_ne!(one, two, "each has its own salt");
        assert!(fits(&one, "pass\0word") && fits(&two, "pass\0word"));
        assert!(!fits(&one, "pass") && !fits(&one, "pass\0"));
        assert_eq!(PasswordHash::parse(&one).unwrap().work(), scheme.work());
        assert!(!scheme.outdates(scheme.work()));
    }
}

#[test]
fn bcrypt_looks_at_72_bytes() {
    let mut memory = Memory::default();
    for length in [71, 72, 73] {
        let stored = Scheme::Bcrypt { cost: 4 }
            .hash("x".repeat(length).as_bytes(), &mut memory)
            .unwrap();
        for other in [71, 72, 73, 100] {
            assert_eq!(
                fits(&stored, "x".repeat(other)),
                length == other || (length >= 72 && other >= 72)
            );
        }
    }
}

#[test]
fn memory_left_by_another_password_does_not_matter() {
    let mut memory = Memory::default();
    let small = Scheme::Argon2id {
        memory: 8,
        passes: 1,
        lanes: 1,
    };
    let large = Scheme::Argon2id {
        memory: 300,
        passes: 3,
        lanes: 1,
    };
    let (a, b) = (
        small.hash(b"a", &mut memory).unwrap(),
        large.hash(b"b", &mut memory).unwrap(),
    );
    for _ in 0..2 {
        assert!(PasswordHash::parse(&a).unwrap().verify(b"a", &mut memory));
        assert!(PasswordHash::parse(&b).unwrap().verify(b"b", &mut memory));
        memory.wipe();
    }
}

#[test]
fn schemes_replace_what_is_older() {
    let work = |stored: &str| PasswordHash::parse(stored).unwrap().work();
    let argon2 = |memory, passes| {
        Scheme::Argon2id {
            memory,
            passes,
            lanes: 1,
        }
        .work()
    };
    for stored in IMPORTED {
        assert!(Scheme::ARGON2ID.outdates(work(stored)));
    }
    assert!(
        !Scheme::ARGON2ID.outdates(argon2(19_456, 2))
            && !Scheme::ARGON2ID.outdates(argon2(47_104, 1))
    );
    assert!(Scheme::ARGON2ID.outdates(argon2(19_456, 1)));
    let outdated: Vec<bool> = IMPORTED
        .into_iter()
        .map(|stored| Scheme::BCRYPT.outdates(work(stored)))
        .collect();
    assert_eq!(outdated, [false, true, false, true, true, true]);
}

#[test]
fn a_scheme_that_could_not_be_verified_is_told() {
    let argon2id = |memory, passes, lanes| {
        Scheme::Argon2id {
            memory,
            passes,
            lanes,
        }
        .check()
    };
    assert_eq!(
        (Scheme::ARGON2ID.check(), Scheme::BCRYPT.check()),
        (Ok(()), Ok(()))
    );
    assert_eq!(argon2id(64, 2, 8), Ok(()));
    for (memory, passes, lanes) in [
        (64, 2, 9),
        (64, 21, 1),
        (2 << 20, 1, 1),
        (1 << 20, 5, 1),
        (1024, 1, 17),
        (64, 0, 1),
        (64, 1, 0),
    ] {
        assert!(argon2id(memory, passes, lanes).is_err());
    }
    let hash = Scheme::Argon2id {
        memory: 64,
        passes: 1,
        lanes: 4,
    }
    .hash(b"x", &mut Memory::default())
    .unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=4$") && fits(&hash, "x"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn attack_068_hostile_hashes_are_refused_unhashed() {
    let salt = "c29tZXNhbHQ$qqSCqQPLbO7RKU+qFwvGng";
    let argon2 = [
        "m=4294967295,t=1,p=1",
        "m=4294967296,t=1,p=1",
        "m=1048577,t=1,p=1",
        "m=1048576,t=20,p=1",
        "m=64,t=21,p=1",
        "m=64,t=4294967295,p=1",
        "m=64,t=1,p=17",
        "m=64,t=1,p=255",
        "m=64,t=0,p=1",
        "m=64,t=1,p=0",
        "m=0,t=1,p=1",
        "m=7,t=1,p=1",
        "m=64,t=1,p=9",
        "m=-64,t=1,p=1",
        "m=+64,t=1,p=1",
        "m=64,t=1",
        "t=1,m=64,p=1",
        "m=64,t=1,p=1,keyid=aa",
        "m=64,t=1,p=1,data=aa",
        "m=64 ,t=1,p=1",
        "m=,t=1,p=1",
        "m=６４,t=1,p=1",
        "",
    ];
    let mut hostile: Vec<String> = argon2
        .iter()
        .map(|parameters| format!("$argon2id$v=19${parameters}${salt}"))
        .collect();
    hostile.extend(
        [
            "$argon2d$v=19$m=64,t=2,p=1$",
            "$argon2id$v=16$m=64,t=2,p=1$",
            "$argon2id$v=18$m=64,t=2,p=1$",
            "$argon2id$m=64,t=2,p=1$",
            "$argon2x$v=19$m=64,t=2,p=1$",
        ]
        .map(|start| format!("{start}{salt}")),
    );
    hostile.extend(
        [
            "c29tZXNhbHQ$",
            "$qqSCqQPLbO7RKU+qFwvGng",
            "c29t$qqSCqQPLbO7RKU+qFwvGng",
            "c29tZXNhbHQ$qqSC",
            "c29tZXNhbHQ=$qqSCqQPLbO7RKU+qFwvGng",
            "c29tZXNhbHQ$qqSCqQPLbO7RKU+qFwvGng$x",
            "!$!",
            "c29tZXNhbHQ",
        ]
        .map(|end| format!("$argon2id$v=19$m=64,t=2,p=1${end}")),
    );
    let firebase = [
        "n=40,r=8,p=1",
        "n=21,r=1,p=1",
        "n=4294967297,r=8,p=1",
        "n=0,r=8,p=1",
        "n=12,r=0,p=1",
        "n=12,r=8,p=0",
        "n=14,r=65536,p=1",
        "n=12,r=4294967295,p=1",
        "n=12,r=8,p=256",
        "n=16,r=8,p=255",
        "n=1,r=1,p=4294967295",
        "n=12,r=8",
        "r=8,n=12,p=1",
        "n=12,r=8,p=1,x=1",
        "n=12,r=8,p=1,sk=AAAA,ss=AAAA",
    ];
    hostile.extend(
        firebase.map(|parameters| {
            format!("$fbscrypt$v=1,{parameters}$4vQYeSlnJ/lWcw==$w1q89oQDPAk8oA==")
        }),
    );
    hostile.extend(
        [
            "$fbscrypt$v=2,n=12,r=8,p=1$4vQYeSlnJ/lWcw==$AAAA",
            "$fbscrypt$v=1,n=12,r=8,p=1$x$y",
            "$fbscrypt$v=1,n=12,r=8,p=1$AAAA",
            "$fbscrypt$v=1,n=12,r=8,p=1$$AAAA",
            "$fbscrypt$v=1,n=12,r=8,p=1$AAAA$",
            "$fbscrypt",
        ]
        .map(str::to_owned),
    );
    let tail = "K4FNPuxmf.QtE1Hh2Mp2lOelKh9orS/GEvC9E4mAp.uJapeWP.rt.";
    hostile.extend(
        [
            "$2a$31$", "$2a$16$", "$2a$99$", "$2a$03$", "$2a$00$", "$2a$-1$", "$2a$+9$", "$2a$1$",
            "$2c$10$", "$3a$10$", "$2a10$", "2a$10$",
        ]
        .map(|start| format!("{start}{tail}")),
    );
    hostile.extend(
        [
            "",
            "$",
            "$2",
            "$2a$10$",
            "$2a$99$x",
            "plain text",
            "$2a$10$é",
            "{\"key_id\":\"k\"}",
            "$1$salt$hash",
            "$6$salt$hash",
            "\0",
        ]
        .map(str::to_owned),
    );
    hostile.extend([
        format!("$2a$10${tail}x"),
        format!("$2a$10${}", &tail[1..]),
        format!("$2a$10${}", tail.replace('K', "!")),
        "$2a$10$".to_owned() + &"é".repeat(27),
    ]);
    for stored in hostile {
        assert!(PasswordHash::parse(&stored).is_err(), "{stored}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,100}", parameters in "[a-z0-9=,$+/.]{0,80}") {
        for start in ["", "$2a$", "$2a$10$", "$argon2id$v=19$", "$argon2i", "$fbscrypt$v=1,", "$fbscrypt"] {
            let _ = PasswordHash::parse(&format!("{start}{text}"));
            let _ = PasswordHash::parse(&format!("{start}{parameters}"));
        }
    }
}
