//! The analysis of `html/template`: finds the context of every action and gives it the escapers for that
//! place, normalises the text between, and makes a copy of each template for every context it is called in.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::Problem;
use super::action::{action, nudge};
use super::ast::{List, Node};
use super::context::{Context, Slash, State, UrlPart};
use super::parse::Parsed;
use super::text;

/// How much one analysis may look at, in nodes and in runs of 64 bytes of text: loops are looked at twice,
/// and loops in loops four times.
const MAX_STEPS: usize = 100_000;
/// How deep templates and blocks may stand in each other.
const MAX_DEPTH: usize = 100;

/// Analyses the root and all it calls; returns both, ready to run.
pub(super) fn escape(parsed: Parsed) -> Result<(List, BTreeMap<String, List>), Problem> {
    let defined = parsed.defined;
    let mut steps = 0;
    let mut analysis = Analysis::new(&defined, &mut steps, 0);
    let (context, root) = analysis.list(Context::default(), &parsed.root)?;
    if context.state != State::Text {
        return Err(Problem::here(format!(
            "ends in a non-text context: {:?}",
            context.state
        )));
    }
    Ok((
        root,
        analysis
            .copies
            .into_iter()
            .map(|(place, list)| (place.name(), list))
            .collect(),
    ))
}

/// A template called in a context.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    template: String,
    context: Context,
}

impl Place {
    fn new(template: &str, context: &Context) -> Self {
        // In text nothing but the state counts.
        let context = if context.state == State::Text {
            Context::default()
        } else {
            context.clone()
        };
        Self {
            template: template.to_owned(),
            context,
        }
    }

    /// The name of the copy made for this place.
    fn name(&self) -> String {
        if self.context.state == State::Text {
            self.template.clone()
        } else {
            format!("{}\n{:?}", self.template, self.context)
        }
    }
}

struct Analysis<'d> {
    defined: &'d BTreeMap<String, List>,
    steps: &'d mut usize,
    depth: usize,
    /// Where each called template ends, or is assumed to.
    outcomes: HashMap<Place, Context>,
    copies: HashMap<Place, List>,
    called: HashSet<Place>,
    /// Contexts at `break` and `continue` of the loops around, innermost last.
    leaves: Vec<Vec<Context>>,
}

impl<'d> Analysis<'d> {
    fn new(defined: &'d BTreeMap<String, List>, steps: &'d mut usize, depth: usize) -> Self {
        Self {
            defined,
            steps,
            depth,
            outcomes: HashMap::new(),
            copies: HashMap::new(),
            called: HashSet::new(),
            leaves: Vec::new(),
        }
    }

    fn list(&mut self, mut context: Context, list: &List) -> Result<(Context, List), Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Problem::here("exceeded maximum template depth"));
        }
        let mut out = List::with_capacity(list.len());
        for node in list {
            *self.steps += if let Node::Text(text, _) = node {
                1 + text.len() / 64
            } else {
                1
            };
            if *self.steps > MAX_STEPS {
                return Err(Problem::here("the template is too intricate"));
            }
            let (next, node) = self.node(context, node)?;
            context = next;
            out.push(node);
            if context.state == State::Dead {
                break;
            }
        }
        self.depth -= 1;
        Ok((context, out))
    }

    fn node(&mut self, context: Context, node: &Node) -> Result<(Context, Node), Problem> {
        Ok(match node {
            Node::Text(source, line) => {
                let (context, text) = text::normalise(context, source, *line)?;
                (context, Node::Text(text, *line))
            }
            Node::Action { pipe, .. } => {
                action(context, pipe).map_err(|problem| problem.at(pipe.line))?
            }
            Node::If {
                arms,
                otherwise,
                rebind,
                line,
            } => {
                let name = if *rebind { "with" } else { "if" };
                let (mut end, otherwise) = self.list(context.clone(), otherwise)?;
                let mut checked = Vec::with_capacity(arms.len());
                for (pipe, body) in arms.iter().rev() {
                    let (after, body) = self.list(context.clone(), body)?;
                    end = join(after, end, name).map_err(|problem| problem.at(*line))?;
                    checked.push((Arc::clone(pipe), body));
                }
                checked.reverse();
                (
                    end,
                    Node::If {
                        arms: checked,
                        otherwise,
                        rebind: *rebind,
                        line: *line,
                    },
                )
            }
            Node::Range {
                pipe,
                body,
                otherwise,
                line,
            } => {
                let (end, body) = self
                    .range(&context, body)
                    .map_err(|problem| problem.at(*line))?;
                let (empty, otherwise) = self.list(context, otherwise)?;
                let end = join(end, empty, "range").map_err(|problem| problem.at(*line))?;
                (
                    end,
                    Node::Range {
                        pipe: Arc::clone(pipe),
                        body,
                        otherwise,
                        line: *line,
                    },
                )
            }
            Node::Template { name, pipe, line } => {
                let place = Place::new(name, &context);
                let end = self
                    .template(&place, &context)
                    .map_err(|problem| problem.at(*line))?;
                (
                    end,
                    Node::Template {
                        name: place.name(),
                        pipe: pipe.clone(),
                        line: *line,
                    },
                )
            }
            Node::Break | Node::Continue => {
                if let Some(leaves) = self.leaves.last_mut() {
                    leaves.push(context);
                }
                (Context::of(State::Dead), node.clone())
            }
        })
    }

    /// The body of a loop must end, and be left, where it began: it runs again from there.
    fn range(&mut self, context: &Context, body: &List) -> Result<(Context, List), Problem> {
        let (end, checked) = self.once(context.clone(), body)?;
        let (again, _) = self
            .apart(|again| again.once(end.clone(), body))
            .map_err(|problem| problem.because("on range loop re-entry"))?;
        let end = join(end, again, "range")
            .map_err(|problem| problem.because("on range loop re-entry"))?;
        Ok((end, checked))
    }

    fn once(&mut self, context: Context, body: &List) -> Result<(Context, List), Problem> {
        self.leaves.push(Vec::new());
        let result = self.list(context, body);
        let leaves = self.leaves.pop().unwrap_or_default();
        let (mut end, body) = result?;
        for leave in leaves {
            end = join(end, leave, "range")?;
        }
        Ok((end, body))
    }

    /// Looks ahead without keeping anything.
    fn apart<T>(&mut self, look: impl FnOnce(&mut Analysis<'_>) -> T) -> T {
        let mut other = Analysis::new(self.defined, self.steps, self.depth);
        other.outcomes.clone_from(&self.outcomes);
        look(&mut other)
    }

    fn template(&mut self, place: &Place, context: &Context) -> Result<Context, Problem> {
        self.called.insert(place.clone());
        if let Some(outcome) = self.outcomes.get(place) {
            return Ok(outcome.clone());
        }
        let Some(list) = self.defined.get(&place.template) else {
            return Err(Problem::here(format!(
                "no such template {:?}",
                place.template
            )));
        };
        // A template that calls itself needs to know where it ends: assume where it starts, then what came out.
        let mut assumed = context.clone();
        for _ in 0..2 {
            let mut trial = Analysis::new(self.defined, self.steps, self.depth);
            trial.outcomes.clone_from(&self.outcomes);
            trial.outcomes.insert(place.clone(), assumed.clone());
            let (end, copy) = trial.list(context.clone(), list)?;
            if !trial.called.contains(place) || end == assumed {
                let Analysis {
                    outcomes,
                    copies,
                    called,
                    ..
                } = trial;
                self.outcomes.extend(outcomes);
                self.outcomes.insert(place.clone(), end.clone());
                self.copies.extend(copies);
                self.copies.insert(place.clone(), copy);
                self.called.extend(called);
                return Ok(end);
            }
            assumed = end;
        }
        Err(Problem::here(format!(
            "cannot compute output context for template {:?}",
            place.template
        )))
    }
}

/// The context after branches that end in `a` and `b`.
fn join(a: Context, b: Context, name: &str) -> Result<Context, Problem> {
    if a.state == State::Dead || a == b {
        return Ok(b);
    }
    if b.state == State::Dead {
        return Ok(a);
    }
    if (Context {
        url: b.url,
        ..a.clone()
    }) == b
    {
        return Ok(Context {
            url: UrlPart::Unknown,
            ..a
        });
    }
    if (Context {
        slash: b.slash,
        ..a.clone()
    }) == b
    {
        return Ok(Context {
            slash: Slash::Unknown,
            ..a
        });
    }
    let (nudged_a, nudged_b) = (nudge(a.clone()), nudge(b.clone()));
    if (nudged_a != a || nudged_b != b)
        && let Ok(joined) = join(nudged_a, nudged_b, name)
    {
        return Ok(joined);
    }
    Err(Problem::here(format!(
        "{{{{{name}}}}} branches end in different contexts: {:?}, {:?}",
        a.state, b.state
    )))
}
