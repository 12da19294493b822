//! An item of a Rust source, found by its name.

use std::ops::RangeInclusive;

use syn::spanned::Spanned;
use syn::{File, ImplItem, Item, TraitItem, Type};

/// The lines of the item `name` of this kind (`fn`, `struct`, `impl`, ..), with its documentation, counted from 1.
///
/// `Type::method` is a method; the type may be left out where no function has that name. An `impl` is named without
/// parameters, as `Cache` or `Profiles for Cache`.
///
/// # Errors
/// A sentence, when there is no such item, or more than one.
pub(super) fn lines(source: &str, kind: &str, name: &str) -> Result<RangeInclusive<usize>, String> {
    let file: File = syn::parse_file(source).map_err(|error| format!("it is no Rust: {error}"))?;
    let mut found = Vec::new();
    let mut methods = Vec::new();
    let wanted = Wanted { kind, name };
    wanted.look(&file.items, &mut found, &mut methods);
    if found.is_empty() {
        found = methods;
    }
    match found.as_slice() {
        [lines] => Ok(lines.clone()),
        [] => Err(format!("it has no `{kind} {name}`")),
        more => Err(format!("it has {} of `{kind} {name}`", more.len())),
    }
}

struct Wanted<'a> {
    kind: &'a str,
    name: &'a str,
}

impl Wanted<'_> {
    /// Collects items that have the name, and in a list of their own methods that have it.
    fn look(&self, items: &[Item], found: &mut Vec<RangeInclusive<usize>>, methods: &mut Vec<RangeInclusive<usize>>) {
        for item in items {
            if let Some((kind, name)) = named(item)
                && (kind, name.as_str()) == (self.kind, self.name)
            {
                found.push(covered(item));
            }
            if let Item::Mod(module) = item {
                let inside = module.content.as_ref().map(|(_, items)| items.as_slice());
                self.look(inside.unwrap_or_default(), found, methods);
            }
            let of_item = methods_of(item).into_iter();
            methods.extend(of_item.filter_map(|(of, name, lines)| self.is_method(&of, &name).then_some(lines)));
        }
    }

    fn is_method(&self, of: &str, name: &str) -> bool {
        self.kind == "fn" && (self.name == name || self.name.split_once("::") == Some((of, name)))
    }
}

/// The methods of an item, each with the type or trait that it is of.
fn methods_of(item: &Item) -> Vec<(String, String, RangeInclusive<usize>)> {
    match item {
        Item::Impl(block) => {
            let of = type_name(&block.self_ty);
            let methods = block.items.iter().filter_map(|item| match item {
                ImplItem::Fn(method) => Some((of.clone(), method.sig.ident.to_string(), covered(method))),
                _ => None,
            });
            methods.collect()
        }
        Item::Trait(block) => {
            let methods = block.items.iter().filter_map(|item| match item {
                TraitItem::Fn(method) => Some((block.ident.to_string(), method.sig.ident.to_string(), covered(method))),
                _ => None,
            });
            methods.collect()
        }
        _ => Vec::new(),
    }
}

fn covered(part: &impl Spanned) -> RangeInclusive<usize> {
    let span = part.span();
    span.start().line..=span.end().line
}

fn named(item: &Item) -> Option<(&'static str, String)> {
    let (kind, name) = match item {
        Item::Fn(item) => ("fn", item.sig.ident.to_string()),
        Item::Struct(item) => ("struct", item.ident.to_string()),
        Item::Enum(item) => ("enum", item.ident.to_string()),
        Item::Trait(item) => ("trait", item.ident.to_string()),
        Item::Const(item) => ("const", item.ident.to_string()),
        Item::Static(item) => ("static", item.ident.to_string()),
        Item::Type(item) => ("type", item.ident.to_string()),
        Item::Mod(item) => ("mod", item.ident.to_string()),
        Item::Impl(item) => {
            let of = type_name(&item.self_ty);
            let of_trait = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
            let name = of_trait.map_or_else(|| of.clone(), |of_trait| format!("{} for {of}", of_trait.ident));
            ("impl", name)
        }
        _ => return None,
    };
    Some((kind, name))
}

/// The last segment of a type's path, without its parameters.
fn type_name(of: &Type) -> String {
    match of {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        Type::Reference(reference) => Some(type_name(&reference.elem)),
        _ => None,
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! Top.\n\n/// Says.\n#[derive(Debug)]\nstruct A {\n    b: u8,\n}\n\nimpl A {\n    /// Does.\n    fn go(&self) {\n    }\n}\n\nfn go() {}\n";

    #[test]
    fn an_item_is_found_with_its_documentation() {
        assert_eq!(lines(SOURCE, "struct", "A"), Ok(3..=7));
        assert_eq!(lines(SOURCE, "fn", "A::go"), Ok(10..=12));
        assert_eq!(lines(SOURCE, "impl", "A"), Ok(9..=13));
    }

    #[test]
    fn a_function_goes_before_a_method_of_its_name() {
        assert_eq!(lines(SOURCE, "fn", "go"), Ok(15..=15));
        assert_eq!(lines(&SOURCE.replace("fn go() {}", ""), "fn", "go"), Ok(10..=12));
    }

    #[test]
    fn what_is_not_there_or_there_twice_is_said() {
        assert_eq!(lines(SOURCE, "fn", "come"), Err("it has no `fn come`".to_owned()));
        let twice = SOURCE.replace("fn go() {}", "fn go() {} mod b { fn go() {} }");
        assert_eq!(lines(&twice, "fn", "go"), Err("it has 2 of `fn go`".to_owned()));
    }
}
