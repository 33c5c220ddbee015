//! The syntax check of Go's `encoding/json`, with its words: the whole text is checked before anything is decoded.

/// The deepest nesting that Go accepts.
const MAX_DEPTH: usize = 10_000;

/// What is wrong with a text, in Go's words.
#[derive(Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Go's message.
    pub message: String,
    /// The text ended where more was needed.
    pub at_end: bool,
}

/// Checks that a text is one JSON value and nothing else (Go's `json.Unmarshal`).
pub fn check(text: &[u8]) -> Result<(), SyntaxError> {
    let mut scanner = Scanner { rest: text };
    scanner.value()?;
    match scanner.next_token() {
        Some(byte) => Err(unexpected(byte, "after top-level value")),
        None => Ok(()),
    }
}

/// Checks the first JSON value of a text and returns it; what follows is not looked at (Go's `json.Decoder`).
pub fn check_first(text: &[u8]) -> Result<&[u8], SyntaxError> {
    let mut scanner = Scanner { rest: text };
    scanner.value()?;
    Ok(text.strip_suffix(scanner.rest).unwrap_or(text))
}

struct Scanner<'a> {
    rest: &'a [u8],
}

/// What a value stands in.
#[derive(Clone, Copy)]
enum Within {
    Array,
    Object,
}

impl Scanner<'_> {
    /// Passes one value with all that is in it; nesting is kept on the heap.
    fn value(&mut self) -> Result<(), SyntaxError> {
        let mut stack = Vec::new();
        loop {
            let mut complete = true;
            match self.need_token()? {
                b'{' => {
                    push(&mut stack, Within::Object, b'{')?;
                    if self.peek_token()? == b'}' {
                        self.skip(1);
                        stack.pop();
                    } else {
                        self.key()?;
                        complete = false;
                    }
                }
                b'[' => {
                    push(&mut stack, Within::Array, b'[')?;
                    if self.peek_token()? == b']' {
                        self.skip(1);
                        stack.pop();
                    } else {
                        complete = false;
                    }
                }
                b'"' => self.string()?,
                b't' => self.literal(b"rue", "true")?,
                b'f' => self.literal(b"alse", "false")?,
                b'n' => self.literal(b"ull", "null")?,
                first @ (b'-' | b'0'..=b'9') => self.number(first)?,
                other => return Err(unexpected(other, "looking for beginning of value")),
            }
            while complete {
                let Some(within) = stack.last() else {
                    return Ok(());
                };
                match (within, self.need_token()?) {
                    (Within::Array, b',') => complete = false,
                    (Within::Object, b',') => {
                        self.key()?;
                        complete = false;
                    }
                    (Within::Array, b']') | (Within::Object, b'}') => {
                        stack.pop();
                    }
                    (Within::Array, other) => return Err(unexpected(other, "after array element")),
                    (Within::Object, other) => {
                        return Err(unexpected(other, "after object key:value pair"));
                    }
                }
            }
        }
    }

    /// Passes `"key":`.
    fn key(&mut self) -> Result<(), SyntaxError> {
        match self.need_token()? {
            b'"' => self.string()?,
            other => {
                return Err(unexpected(
                    other,
                    "looking for beginning of object key string",
                ));
            }
        }
        match self.need_token()? {
            b':' => Ok(()),
            other => Err(unexpected(other, "after object key")),
        }
    }

    /// Passes the rest of a string.
    fn string(&mut self) -> Result<(), SyntaxError> {
        loop {
            let plain = self
                .rest
                .iter()
                .position(|&byte| byte < b' ' || matches!(byte, b'"' | b'\\'));
            self.skip(plain.unwrap_or(self.rest.len()));
            match self.next() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape()?,
                Some(control) => return Err(unexpected(control, "in string literal")),
                None => return Err(end()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.need_part("in string escape code")? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    let digit = self.need_part("in \\u hexadecimal character escape")?;
                    if !digit.is_ascii_hexdigit() {
                        return Err(unexpected(digit, "in \\u hexadecimal character escape"));
                    }
                }
                Ok(())
            }
            other => Err(unexpected(other, "in string escape code")),
        }
    }

    /// Passes the rest of `true`, `false` or `null`.
    fn literal(&mut self, rest: &[u8], literal: &str) -> Result<(), SyntaxError> {
        for &wanted in rest {
            let context = || format!("in literal {literal} (expecting '{}')", char::from(wanted));
            match self.next() {
                Some(byte) if byte == wanted => {}
                Some(other) => return Err(unexpected(other, &context())),
                None => return Err(cut_short(&context())),
            }
        }
        Ok(())
    }

    /// Passes the rest of a number.
    fn number(&mut self, first: u8) -> Result<(), SyntaxError> {
        let first = if first == b'-' {
            self.digit("in numeric literal")?
        } else {
            first
        };
        if first != b'0' {
            self.digits();
        }
        if self.rest.first() == Some(&b'.') {
            self.skip(1);
            self.digit("after decimal point in numeric literal")?;
            self.digits();
        }
        if matches!(self.rest.first(), Some(b'e' | b'E')) {
            self.skip(1);
            if matches!(self.rest.first(), Some(b'+' | b'-')) {
                self.skip(1);
            }
            self.digit("in exponent of numeric literal")?;
            self.digits();
        }
        Ok(())
    }

    fn digit(&mut self, context: &'static str) -> Result<u8, SyntaxError> {
        match self.need_part(context)? {
            digit @ b'0'..=b'9' => Ok(digit),
            other => Err(unexpected(other, context)),
        }
    }

    fn digits(&mut self) {
        self.skip(
            self.rest
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count(),
        );
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// The next byte that is no white space.
    fn next_token(&mut self) -> Option<u8> {
        self.skip(self.rest.iter().take_while(|byte| is_space(**byte)).count());
        self.next()
    }

    fn need_token(&mut self) -> Result<u8, SyntaxError> {
        self.next_token().ok_or_else(end)
    }

    fn peek_token(&mut self) -> Result<u8, SyntaxError> {
        self.skip(self.rest.iter().take_while(|byte| is_space(**byte)).count());
        self.rest.first().copied().ok_or_else(end)
    }

    /// The next byte of an escape or number. At the end of the text Go's scanner is fed a blank, and complains of it.
    fn need_part(&mut self, context: &str) -> Result<u8, SyntaxError> {
        self.next().ok_or_else(|| cut_short(context))
    }
}

fn push(stack: &mut Vec<Within>, within: Within, byte: u8) -> Result<(), SyntaxError> {
    stack.push(within);
    if stack.len() > MAX_DEPTH {
        Err(unexpected(byte, "exceeded max depth"))
    } else {
        Ok(())
    }
}

/// JSON's white space.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn end() -> SyntaxError {
    SyntaxError {
        message: "unexpected end of JSON input".to_owned(),
        at_end: true,
    }
}

fn cut_short(context: &str) -> SyntaxError {
    SyntaxError {
        at_end: true,
        ..unexpected(b' ', context)
    }
}

fn unexpected(byte: u8, context: &str) -> SyntaxError {
    SyntaxError {
        message: format!("invalid character {} {context}", quote(byte)),
        at_end: false,
    }
}

/// A byte as Go quotes it: as the character of that number, in single quotes.
fn quote(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x00..=0x1f | 0x7f => format!(r"'\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!(r"'\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}
