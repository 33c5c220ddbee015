//! Where variables come from, and which source wins.

use std::path::Path;

use super::*;

fn sources(dir: &Path, environment: &[(&str, &str)]) -> Sources {
    Sources {
        file: None,
        dir: None,
        dotenv: dir.join(".env"),
        environment: environment
            .iter()
            .map(|(name, text)| (name.into(), text.into()))
            .collect(),
    }
}

fn write(dir: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn get(sources: &Sources, names: &[&str]) -> String {
    let environment = Environment::read(sources).unwrap();
    names
        .iter()
        .map(|name| environment.get(name).unwrap_or("-"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_dotenv_file_fills_in() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        get(&sources(dir.path(), &[("A", "env")]), &["A", "B"]),
        "env -"
    );
    write(dir.path(), ".env", "A=file\nB=file");
    assert_eq!(
        get(&sources(dir.path(), &[("A", "env")]), &["A", "B"]),
        "env file"
    );
}

#[test]
fn a_named_file_wins_over_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), ".env", "A=dotenv\nC=dotenv");
    for (name, text) in [
        ("x.conf", "A=file\nB=file"),
        ("x.json", r#"{"A":"file","B":"file"}"#),
    ] {
        let file = Some(write(dir.path(), name, text));
        let sources = Sources {
            file,
            ..sources(dir.path(), &[("A", "env"), ("D", "env")])
        };
        assert_eq!(get(&sources, &["A", "B", "C", "D"]), "file file - env");
    }
}

#[test]
fn a_directory_wins_over_everything_in_the_order_of_names() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("conf");
    std::fs::create_dir_all(conf.join("z.env")).unwrap();
    let file = Some(write(dir.path(), "x.conf", "A=file\nB=file\nC=file"));
    write(&conf, "a.env", "A=a\nB=a");
    write(&conf, "b.json", r#"{"B":"b.json","E":null}"#);
    write(&conf, "b.env", "B=b.env\nD=b.env");
    write(&conf, "b.txt", "A=txt");
    let sources = Sources {
        file,
        dir: Some(conf),
        ..sources(dir.path(), &[("A", "env")])
    };
    assert_eq!(
        get(&sources, &["A", "B", "C", "D", "E"]),
        "a b.json file - "
    );
}

#[test]
fn broken_files_are_mistakes() {
    let dir = tempfile::tempdir().unwrap();
    let mistake = |sources: &Sources| {
        let error = Environment::read(sources).err().unwrap().to_string();
        error.replace(&format!("{}/", dir.path().display()), "")
    };
    let broken = |name, text| Some(write(dir.path(), name, text));

    let missing = Sources {
        file: Some(dir.path().join("none")),
        ..sources(dir.path(), &[])
    };
    insta::assert_snapshot!(mistake(&missing), @"
    one mistake in the configuration:
      none: cannot be read: No such file or directory (os error 2)
    ");
    let dotenv = Sources {
        file: broken("x.env", "A=1\nB='hush"),
        ..sources(dir.path(), &[])
    };
    insta::assert_snapshot!(mistake(&dotenv), @"
    one mistake in the configuration:
      x.env: line 2: the closing ' is missing
    ");
    let json = Sources {
        file: broken("x.json", "{\"A\": 5}"),
        ..sources(dir.path(), &[])
    };
    insta::assert_snapshot!(mistake(&json), @"
    one mistake in the configuration:
      x.json: line 1, column 7: not a JSON object of texts
    ");
    broken(".env", "hush");
    insta::assert_snapshot!(mistake(&sources(dir.path(), &[])), @"
    one mistake in the configuration:
      .env: line 1: not of the form NAME=value
    ");
}

#[test]
fn a_broken_directory_is_only_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let warnings = |sources: &Sources| {
        let environment = Environment::read(sources).unwrap();
        let warnings = environment
            .warnings
            .iter()
            .map(Warning::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        warnings.replace(&format!("{}/", dir.path().display()), "")
    };
    let missing = Sources {
        dir: Some(dir.path().join("none")),
        ..sources(dir.path(), &[])
    };
    insta::assert_snapshot!(warnings(&missing), @"none: cannot be read: No such file or directory (os error 2); none of its files is used");

    let conf = dir.path().join("conf");
    std::fs::create_dir(&conf).unwrap();
    write(&conf, "a.env", "A=a");
    write(&conf, "b.env", "hush");
    write(&conf, "c.env", "A=c");
    let sources = Sources {
        dir: Some(conf),
        ..sources(dir.path(), &[])
    };
    insta::assert_snapshot!(warnings(&sources), @"conf/b.env: line 1: not of the form NAME=value; neither it nor the files after it are used");
    assert_eq!(get(&sources, &["A"]), "a");
}

#[test]
fn mistakes_and_warnings_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(
        dir.path(),
        "x.conf",
        "GOTRUE_SMTP_PORT=x\nGOTRUE_DB_DRIVER=mysql",
    );
    let sources = Sources {
        file: Some(file),
        ..sources(dir.path(), &REQUIRED)
    };
    let error = Config::load(&sources).unwrap_err().to_string();
    let error = error.replace(&format!("{}/", dir.path().display()), "");
    insta::assert_snapshot!(error, @r#"
    2 mistakes in the configuration:
      GOTRUE_SMTP_PORT (in x.conf): "x" is not a whole number from 0 to 65535
      GOTRUE_DB_DRIVER (in x.conf): "mysql" is not served; it is postgres
    "#);
}

#[cfg(unix)]
#[test]
fn only_our_variables_need_be_utf8() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let dir = tempfile::tempdir().unwrap();
    let mut sources = sources(dir.path(), &[]);
    sources
        .environment
        .push(("LATIN".into(), OsString::from_vec(vec![0xe9])));
    assert_eq!(get(&sources, &["LATIN"]), "-");
    sources
        .environment
        .push(("GOTRUE_SMTP_USER".into(), OsString::from_vec(vec![0xe9])));
    let error = Environment::read(&sources).err().unwrap().to_string();
    insta::assert_snapshot!(error, @"
    one mistake in the configuration:
      GOTRUE_SMTP_USER: its value is not UTF-8 text
    ");
}

#[test]
fn defaults_of_a_caller_come_last() {
    let mut environment = Environment::from_pairs([("A", "set")]);
    environment.set_default("A", "default");
    environment.set_default("B", "default");
    assert_eq!(
        (environment.get("A"), environment.get("B")),
        (Some("set"), Some("default"))
    );
}
