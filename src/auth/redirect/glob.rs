//! The patterns of the redirect allow-list, in the language of gobwas/glob with the separators `.` and `/`:
//!
//! `*` any run of non-separators, `**` any run of anything, `?` one non-separator, `[abc]` `[!abc]` `[a-z]` one
//! character, `{a,b}` alternatives, `\` before a character that stands for itself.
//!
//! A pattern becomes a small automaton whose states are all followed at once: time is length of the text times
//! length of the pattern at worst, whatever the pattern.
//!
//! Where GoTrue's matcher sees mere text, this one knows where a URL's host ends (see [`Glob::matches_url`]).

use std::net::Ipv4Addr;
use std::ops::Range;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Glob {
    steps: Vec<Step>,
    /// For each step: a host may end before it (see [`Glob::matches_url`]).
    closes: Vec<bool>,
}

/// One step of the automaton; each but `Fork` and `Jump` goes on to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// This character.
    Char(char),
    /// `?`
    One { frozen: bool },
    /// `[..]`: ranges, negated.
    Class(Vec<(char, char)>, bool),
    /// `*` or `**` (crossing separators).
    Run { crossing: bool, frozen: bool },
    /// Continues at both.
    Fork(usize, usize),
    /// Continues there.
    Jump(usize),
    /// The pattern is done.
    End,
}

/// Where the parts of a URL stand in its text, as byte offsets.
#[derive(Debug, Clone)]
pub struct Places {
    /// The host without user and port.
    pub host: Range<usize>,
    /// Where host and port end.
    pub authority_end: usize,
}

impl Glob {
    /// Compiles a pattern; the error says what is wrong with it.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let mut parser = Parser {
            rest: pattern.chars().peekable(),
            steps: Vec::new(),
        };
        parser.alternatives(0)?;
        let mut steps = parser.steps;
        steps.push(Step::End);
        freeze(&mut steps);
        let closes = (0..steps.len()).map(|at| closes(&steps, at)).collect();
        Ok(Self { steps, closes })
    }

    /// Whether the whole text matches, by gobwas' rules alone.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.run(text, None)
    }

    /// Whether a URL matches and its host is one that the pattern names. Beyond [`Glob::matches`]:
    ///
    /// * the host has to end where the pattern's host may end: `https://**.example.com/**` does not match
    ///   `https://evil.net/x.example.com/`, nor `**://example.com/` a URL that has this in its query;
    /// * a wildcard behind a complete host matches a port, path or query, never more host: `https://example.com**`
    ///   matches neither `https://example.com.evil.net` nor `https://example.community`.
    #[must_use]
    pub fn matches_url(&self, text: &str, places: &Places) -> bool {
        self.run(text, Some(places))
    }

    /// Whether the pattern spells out the scheme.
    #[must_use]
    pub fn names_scheme(&self) -> bool {
        self.steps
            .iter()
            .map_while(Step::literal)
            .any(|literal| literal == ':')
    }

    /// Whether the pattern is `**`: the operator allows everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        matches!(&*self.steps, [Step::Run { crossing: true, .. }, Step::End])
    }

    fn run(&self, text: &str, places: Option<&Places>) -> bool {
        // A pattern mostly starts with plain text, and mostly that differs.
        let literals = self.steps.iter().map_while(Step::literal);
        if !literals
            .zip(text.chars().map(Some).chain(std::iter::repeat(None)))
            .all(|(want, is)| Some(want) == is)
        {
            return false;
        }
        let mut now = States::new(self.steps.len());
        let mut next = States::new(self.steps.len());
        now.enter(&self.steps, 0);
        for (at, character) in text.char_indices() {
            let in_host = places.is_some_and(|places| places.host.contains(&at));
            let host_ends = places.is_some_and(|places| places.authority_end == at);
            next.clear();
            for &state in &now.list {
                if host_ends && !self.closes.get(state).is_some_and(|closes| *closes) {
                    continue;
                }
                let Some(step) = self.steps.get(state) else {
                    continue;
                };
                match step {
                    Step::One { frozen: true } | Step::Run { frozen: true, .. } if in_host => {}
                    Step::Run { crossing, .. } if *crossing || !is_separator(character) => {
                        next.enter(&self.steps, state);
                    }
                    step if step.takes(character) => next.enter(&self.steps, state + 1),
                    _ => {}
                }
            }
            if next.list.is_empty() {
                return false;
            }
            std::mem::swap(&mut now, &mut next);
        }
        now.list.contains(&(self.steps.len() - 1))
    }
}

impl Step {
    fn literal(&self) -> Option<char> {
        match self {
            Self::Char(literal) => Some(*literal),
            _ => None,
        }
    }

    fn takes(&self, character: char) -> bool {
        match self {
            Self::Char(literal) => *literal == character,
            Self::One { .. } => !is_separator(character),
            Self::Class(ranges, negated) => {
                ranges
                    .iter()
                    .any(|(low, high)| (low..=high).contains(&&character))
                    != *negated
            }
            _ => false,
        }
    }
}

fn is_separator(character: char) -> bool {
    matches!(character, '.' | '/')
}

/// The states that the automaton is in.
struct States {
    list: Vec<usize>,
    /// The round in which each state was last entered.
    seen: Vec<usize>,
    round: usize,
    pending: Vec<usize>,
}

impl States {
    fn new(steps: usize) -> Self {
        Self {
            list: Vec::with_capacity(steps),
            seen: vec![0; steps],
            round: 1,
            pending: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.round += 1;
    }

    /// Enters a state and all that follow without a character.
    fn enter(&mut self, steps: &[Step], state: usize) {
        self.pending.push(state);
        while let Some(state) = self.pending.pop() {
            match self.seen.get_mut(state) {
                Some(seen) if *seen != self.round => *seen = self.round,
                _ => continue,
            }
            match steps.get(state) {
                Some(Step::Fork(one, other)) => self.pending.extend([*one, *other]),
                Some(Step::Jump(there)) => self.pending.push(*there),
                Some(Step::Run { .. }) => {
                    self.list.push(state);
                    self.pending.push(state + 1);
                }
                _ => self.list.push(state),
            }
        }
    }
}

/// Whether a host may end before this step: path or query may follow, or nothing.
fn closes(steps: &[Step], at: usize) -> bool {
    match steps.get(at) {
        None | Some(Step::End | Step::One { .. } | Step::Class(..)) => true,
        Some(Step::Char(literal)) => matches!(literal, '/' | '?'),
        Some(Step::Run { .. }) => closes(steps, at + 1),
        Some(Step::Jump(there)) => closes(steps, *there),
        Some(Step::Fork(one, other)) => closes(steps, *one) || closes(steps, *other),
    }
}

/// Freezes the wildcards that stand behind a complete host, where the pattern's authority has no more labels.
fn freeze(steps: &mut [Step]) {
    if steps.iter().any(|step| matches!(step, Step::Fork(..))) {
        return; // alternatives may be anything
    }
    let separator = |window: &[Step]| window.iter().map(Step::literal).eq("://".chars().map(Some));
    let start = steps.windows(3).position(separator).map_or(0, |at| at + 3);
    let authority = steps.get_mut(start..).unwrap_or_default();
    let length = authority
        .iter()
        .position(|step| matches!(step, Step::Char('/' | '?') | Step::End))
        .unwrap_or(0);
    let authority = authority.get_mut(..length).unwrap_or_default();
    let mut name = String::new();
    for at in 0..length {
        let Some((before, [step, after @ ..])) = authority.split_at_mut_checked(at) else {
            return;
        };
        if let Some(literal) = step.literal() {
            name.push(literal);
            continue;
        }
        if is_complete_host(&name, before.len() == name.chars().count())
            && !after.contains(&Step::Char('.'))
        {
            for step in std::iter::once(step).chain(after) {
                if let Step::One { frozen } | Step::Run { frozen, .. } = step {
                    *frozen = true;
                }
            }
            return;
        }
        name.clear();
    }
}

/// Whether a literal is a host, or the end of one, that nobody would continue: `example.com`, `.example.com`
/// (not `.com`, nor `preview-`), `localhost`, or the start of an IPv4 address (those are decided elsewhere).
fn is_complete_host(literal: &str, is_whole: bool) -> bool {
    let Some((front, top)) = literal.rsplit_once('.') else {
        return is_whole && literal == "localhost";
    };
    let has_domain = front
        .rsplit('.')
        .next()
        .is_some_and(|label| !label.is_empty());
    let is_address = is_whole
        && literal
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    has_domain && top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic())
        || is_address
        || literal.parse::<Ipv4Addr>().is_ok()
}

/// How deeply alternatives may be nested.
const MAX_NESTING: usize = 16;

struct Parser<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    steps: Vec<Step>,
}

impl Parser<'_> {
    /// Reads alternatives up to the brace that closes them; outside of braces a comma is text.
    fn alternatives(&mut self, depth: usize) -> Result<(), String> {
        if depth > MAX_NESTING {
            return Err(format!("alternatives nested deeper than {MAX_NESTING}"));
        }
        let mut jumps = Vec::new();
        let mut fork = self.fork(depth);
        while let Some(character) = self.rest.next() {
            match character {
                '{' => self.alternatives(depth + 1)?,
                '}' if depth > 0 => break,
                ',' if depth > 0 => {
                    jumps.push(self.steps.len());
                    self.steps.push(Step::Jump(0));
                    self.patch(fork);
                    fork = self.fork(depth);
                }
                '[' => self.class()?,
                '?' => self.steps.push(Step::One { frozen: false }),
                '*' => {
                    let crossing = self.rest.next_if_eq(&'*').is_some();
                    self.steps.push(Step::Run {
                        crossing,
                        frozen: false,
                    });
                }
                '\\' => self.steps.extend(self.rest.next().map(Step::Char)),
                literal => self.steps.push(Step::Char(literal)),
            }
        }
        // The last alternative has no other one to fork to.
        let end = self.steps.len();
        if let Some(Step::Fork(one, other)) = fork.and_then(|fork| self.steps.get_mut(fork)) {
            *other = *one;
        }
        for jump in jumps {
            if let Some(step) = self.steps.get_mut(jump) {
                *step = Step::Jump(end);
            }
        }
        Ok(())
    }

    /// Starts an alternative: a fork to it and to the one that comes next.
    fn fork(&mut self, depth: usize) -> Option<usize> {
        let at = self.steps.len();
        (depth > 0).then(|| {
            self.steps.push(Step::Fork(at + 1, at + 1));
            at
        })
    }

    /// Lets a fork know where the next alternative starts.
    fn patch(&mut self, fork: Option<usize>) {
        let next = self.steps.len();
        if let Some(Step::Fork(_, other)) = fork.and_then(|fork| self.steps.get_mut(fork)) {
            *other = next;
        }
    }

    /// Reads a class behind its `[`: one range `a-z`, or a list in which `-` is itself.
    fn class(&mut self) -> Result<(), String> {
        let negated = self.rest.next_if_eq(&'!').is_some();
        let mut ahead = self.rest.clone();
        let ranges = if let (Some(low), Some('-')) = (ahead.next(), ahead.next()) {
            let high = ahead.next().ok_or("a class without ]")?;
            if ahead.next() != Some(']') {
                return Err("a range is followed by more than ]".to_owned());
            }
            if high < low {
                return Err(format!("the range {low}-{high} runs backwards"));
            }
            self.rest = ahead;
            vec![(low, high)]
        } else {
            self.list()?
        };
        self.steps.push(Step::Class(ranges, negated));
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<(char, char)>, String> {
        let mut list = Vec::new();
        loop {
            match self.rest.next() {
                Some(']') if list.is_empty() => return Err("an empty class".to_owned()),
                Some(']') => return Ok(list),
                Some('\\') => list.extend(self.rest.next().map(|literal| (literal, literal))),
                Some(literal) => list.push((literal, literal)),
                None => return Err("a class without ]".to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
