//! `cargo xtask house`: prints which files import each other in a circle, how long the code is, and whether each public
//! name of the library has one path.
//!
//! It only reads formatted text: `crate::…`, `super::…`, `self::…` and the names of child modules are followed to the
//! file that has the item, through `use` and `pub use`. Declaring a module or exporting a name again does not count as
//! an import, and neither do unit tests and what macros expand to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use crate::{Outcome, cargo};

/// The circles of these are found. The demo app's are not looked for: the modules inside of its files,
/// which GObjects need, are beyond a plain reading.
const TREES: [&str; 3] = ["src", "inspect/src", "cli/src"];
const DEMO: &str = "demo-app/src";

/// What one file may import from another of its room that imports from it, and why. What is not
/// needed is an error.
const ALLOWED: [(&str, &str, &str); 1] = [(
    "src/worker/job.rs",
    "src/worker/ctx.rs",
    "a job is run with a context of its own type, so each names the other in its signature",
)];

pub(crate) fn run() -> Outcome {
    let (mut is_bad, mut lines) = (false, 0);
    for tree in TREES {
        let house = House::read(&cargo::workspace().join(tree));
        let house = house.map_err(|error| format!("{tree}: {error}"))?;
        println!("{tree}: {} lines of code", house.lines);
        lines += house.lines;
        is_bad |= house.report(tree);
    }
    println!("in all: {lines} lines of code");
    let demo = House::read(&cargo::workspace().join(DEMO));
    let demo = demo.map_err(|error| format!("{DEMO}: {error}"))?;
    println!("{DEMO}: {} lines of code", demo.lines);
    is_bad |= public_paths()?;
    Ok(ExitCode::from(u8::from(is_bad)))
}

/// Returns whether a public name of the library has more than one path, according to its documentation's list of items.
fn public_paths() -> Result<bool, String> {
    cargo::must(cargo::command().args(["doc", "--quiet", "--no-deps", "--package", "legwork"]))?;
    let list = cargo::target_dir().join("doc/legwork/all.html");
    let list = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let mut paths = BTreeMap::<&str, Vec<&str>>::new();
    for item in list.split("<li><a href=\"").skip(1) {
        let path = item.split('"').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        paths.entry(name).or_default().push(path);
    }
    println!("legwork: {} public names", paths.len());
    paths.retain(|_, paths| paths.len() > 1);
    for paths in paths.values() {
        println!("  one name by several paths: {}", paths.join(", "));
    }
    Ok(!paths.is_empty())
}

type Module = Vec<String>;
/// From each node to the nodes that it leads to.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The files of a crate.
#[derive(Default)]
struct House {
    lines: usize,
    files: BTreeMap<Module, String>,
    /// The code, without `use` items.
    code: BTreeMap<Module, String>,
    /// The names that `use` items bring in: each with its path, and whether it is exported.
    names: BTreeMap<Module, BTreeMap<String, (Vec<String>, bool)>>,
}

impl House {
    fn read(tree: &Path) -> io::Result<Self> {
        let mut house = Self::default();
        for path in files_in(tree)? {
            let file = path.strip_prefix(tree).expect("it lies there");
            let mut module = parts(&file.with_extension("").to_string_lossy().replace('/', "::"));
            match module.last().map(String::as_str) {
                Some("tests") => continue,
                Some("mod" | "lib" | "main") => drop(module.pop()),
                _ => {}
            }
            let text = fs::read_to_string(&path)?;
            house.names.entry(module.clone()).or_default();
            let file = file.display().to_string();
            house.files.insert(module.clone(), file);
            house.add(&module, code_of(&text));
        }
        Ok(house)
    }

    fn add<'a>(&mut self, module: &Module, mut code: impl Iterator<Item = &'a str>) {
        while let Some(line) = code.next() {
            self.lines += 1;
            let item = line.trim_start();
            let item = item.strip_prefix("pub").map_or(item, |item| {
                item.trim_start_matches(|c| c != ' ').trim_start()
            });
            let Some(tree) = item.strip_prefix("use ") else {
                let kept = self.code.entry(module.clone()).or_default();
                *kept += &format!("{line}\n");
                continue;
            };
            let mut tree = tree.to_owned();
            while !tree.ends_with(';') {
                self.lines += 1;
                tree += code.next().unwrap_or(";").trim();
            }
            let is_export = line.trim_start().starts_with("pub");
            self.name(module, &[], tree.trim_end_matches(';'), is_export);
        }
    }

    /// Adds the names of a `use` tree that follows `prefix`.
    fn name(&mut self, module: &Module, prefix: &[String], tree: &str, is_export: bool) {
        let (path, group) = tree.split_once('{').unwrap_or((tree, ""));
        let (path, alias) = path.split_once(" as ").unwrap_or((path, ""));
        let mut path = [prefix, &parts(path)].concat();
        if tree.contains('{') {
            let mut depth = 0;
            let trees = group.trim_end().trim_end_matches('}').split(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                c == ',' && depth == 0
            });
            for tree in trees.map(str::trim).filter(|tree| !tree.is_empty()) {
                self.name(module, &path, tree, is_export);
            }
            return;
        }
        path.pop_if(|last| last == "self" || last == "*");
        let names = self.names.entry(module.clone()).or_default();
        let name = match alias {
            "" => path.last().cloned().unwrap_or_default(),
            "_" => path.concat(),
            alias => alias.to_owned(),
        };
        names.insert(name, (path, is_export));
    }

    /// Returns the module that has the item that a path leads to.
    fn resolve(&self, from: &Module, path: &[String], depth: u8) -> Option<Module> {
        let mut at = from.clone();
        for (index, part) in path.iter().enumerate() {
            let child = [&at[..], std::slice::from_ref(part)].concat();
            match part.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ if self.files.contains_key(&child) => at = child,
                _ => {
                    let name = self.names.get(&at).and_then(|names| names.get(part));
                    return match name {
                        Some((path_of_name, _)) if depth > 0 => {
                            let path = [path_of_name, &path[index + 1..]].concat();
                            self.resolve(&at, &path, depth - 1)
                        }
                        // Another crate.
                        _ if index == 0 => None,
                        _ => Some(at),
                    };
                }
            }
        }
        Some(at)
    }

    /// Returns which file imports from which.
    fn graph(&self) -> Graph {
        let mut graph = Graph::new();
        for (module, file) in &self.files {
            let code = self.code.get(module).map_or("", String::as_str);
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let uses = |name: &str| code.split(|c| !is_part(c)).any(|word| word == name);
            let names = self.names[module].iter();
            let names = names.filter(|(name, (_, is_export))| !is_export || uses(name));
            let paths = code.split(|c| !is_part(c) && c != ':' && c != '$');
            let paths = paths.filter(|path| path.contains("::") && !path.starts_with(['$', ':']));
            let paths = paths.map(parts);
            let imports = graph.entry(file.clone()).or_default();
            for path in names.map(|(_, (path, _))| path.clone()).chain(paths) {
                let other = self.resolve(module, &path, 8);
                let other = other.and_then(|module| self.files.get(&module));
                imports.extend(other.filter(|other| *other != file).cloned());
            }
        }
        graph
    }

    /// Prints the circles; returns whether there is one that is not allowed.
    fn report(&self, tree: &str) -> bool {
        let mut graph = self.graph();
        let mut rooms = Graph::new();
        let room = |file: &String| file.split(['/', '.']).next().unwrap_or_default().to_owned();
        for (file, imports) in &graph {
            let others = imports
                .iter()
                .map(room)
                .filter(|other| *other != room(file));
            rooms.entry(room(file)).or_default().extend(others);
        }
        let mut is_bad = print("rooms", &rooms);
        for (from, to, why) in ALLOWED {
            let file = |file: &str| Some(file.strip_prefix(tree)?.strip_prefix('/')?.to_owned());
            if let (Some(from), Some(to)) = (file(from), file(to)) {
                println!("  allowed: {from} imports from {to}: {why}");
                is_bad |= !graph
                    .get_mut(&from)
                    .is_some_and(|imports| imports.remove(&to));
            }
        }
        is_bad | print("files", &graph)
    }
}

/// Prints all circles; returns whether there are any.
fn print(what: &str, graph: &Graph) -> bool {
    let mut circles = BTreeSet::new();
    for node in graph.keys() {
        let mut circle = reached(graph, node);
        circle.retain(|other| reached(graph, other).contains(node));
        circles.extend((circle.len() > 1).then_some(circle));
    }
    for circle in &circles {
        println!("  {what} in a circle:");
        for node in circle {
            let others = graph[*node].iter().filter(|to| circle.contains(to));
            let others = others.map(String::as_str).collect::<Vec<_>>();
            println!("    {node} imports from {}", others.join(", "));
        }
    }
    !circles.is_empty()
}

fn reached<'a>(graph: &'a Graph, from: &'a String) -> BTreeSet<&'a String> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(node) = next.pop() {
        let to = graph.get(node).into_iter().flatten();
        next.extend(to.filter(|to| seen.insert(*to)));
    }
    seen
}

fn parts(path: &str) -> Vec<String> {
    let parts = path.split("::").map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_in(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Returns the lines that are not blank, not comments and not in a module of unit tests.
fn code_of(text: &str) -> impl Iterator<Item = &str> {
    let (before, tests) = text.split_once("#[cfg(test)]\nmod ").unwrap_or((text, ""));
    let first = tests.lines().next().unwrap_or_default();
    let end = if first.ends_with(';') { "\n" } else { "\n}\n" };
    let after = tests.split_once(end).map_or("", |(_, after)| after);
    let lines = before.lines().chain(after.lines());
    let code = lines.map(|line| line.split(" // ").next().unwrap_or_default().trim_end());
    code.filter(|line| !line.is_empty() && !line.trim_start().starts_with("//"))
}
