//! A hash of the shape of a type, as its `Deserialize` requests it.
//!
//! postcard's bytes do not describe themselves: app and worker must agree on their types. Here a type is deserialized from
//! made-up values, once for each variant of its enums, and all that it requests (a struct of that name with these fields,
//! a sequence, a u32) is hashed. Two programs with the same hash can decode each other's values; a field that is added,
//! renamed or given another type changes the hash. Where a type refuses the made-up values (a port that must not be 0),
//! the hash ends at that point, on both sides alike.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::io;

use super::attach;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

/// Types are walked to this depth, so that the walk of a recursive type ends.
const DEPTH_MAX: usize = 16;
/// From this depth on options are empty and sequences have no elements.
const DEPTH_FULL: usize = 8;
/// A type is walked at most this often, each time through other variants.
const PASSES_MAX: usize = 1024;

/// A 64-bit FNV-1a hash, fed with names and numbers.
#[doc(hidden)]
#[derive(Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Fingerprint(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Adds the shape of `T`.
    ///
    /// # Errors
    ///
    /// No descriptor could be made up, so that the shape is not known.
    pub(crate) fn add<'de, T: Deserialize<'de>>(&mut self) -> io::Result<()> {
        let mut trace = Trace {
            print: self,
            choices: Vec::new(),
            next: 0,
            enums: Vec::new(),
            ends: BTreeMap::new(),
            depth: 0,
        };
        for _ in 0..PASSES_MAX {
            (trace.next, trace.depth) = (0, 0);
            let whole = attach::with_made_up(|| T::deserialize(&mut trace))?.is_ok();
            trace.print.number(u64::from(whole));
            if trace.choices.iter().all(|choice| choice.exhausted) {
                break;
            }
        }
        Ok(())
    }
}

struct Trace<'p> {
    print: &'p mut Fingerprint,
    /// The enums that this level of the walk meets, in order. Two enums of one name are two.
    choices: Vec<Choice>,
    /// Which of them comes next.
    next: usize,
    /// The enums around this place, by their types: so a recursive one is known.
    enums: Vec<&'static str>,
    /// Of a recursive enum, a variant that ends the recursion.
    ends: BTreeMap<&'static str, u32>,
    depth: usize,
}

/// An enum at one place of a type, and the variant that is walked there.
#[derive(Clone, Default)]
struct Choice {
    variant: u32,
    /// The enums in that variant.
    within: Vec<Choice>,
    /// The last variant that could be walked to its end, for when all have been tried.
    whole: Option<(u32, Vec<Choice>)>,
    /// All variants were walked.
    exhausted: bool,
}

impl Choice {
    /// After a walk: goes on to the next variant when this one has nothing new.
    fn advance(&mut self, variants: usize, whole: bool, recursive: bool) {
        let more_within = !recursive && self.within.iter().any(|choice| !choice.exhausted);
        if whole && !more_within {
            self.whole = Some((self.variant, self.within.clone()));
        }
        if more_within || self.exhausted {
            return;
        }
        if recursive && whole || self.variant as usize + 1 >= variants {
            self.exhausted = true;
            if let Some((variant, within)) = self.whole.take() {
                (self.variant, self.within) = (variant, within);
            }
        } else {
            self.variant += 1;
            self.within.clear();
        }
    }
}

/// Ends the walk.
#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shape of the type is known up to here")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Stop
    }
}

impl Trace<'_> {
    fn inside<T>(&mut self, walk: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.depth >= DEPTH_MAX {
            return Err(Stop);
        }
        self.depth += 1;
        let result = walk(self);
        self.depth -= 1;
        result
    }

    fn elements<'de, V: Visitor<'de>>(
        &mut self,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.inside(|trace| visitor.visit_seq(Elements { trace, left }))
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident $value:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            self.print.text(stringify!($method));
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Trace<'_> {
    type Error = Stop;

    plain! {
        deserialize_bool visit_bool false;
        deserialize_i8 visit_i8 0;
        deserialize_i16 visit_i16 0;
        deserialize_i32 visit_i32 0;
        deserialize_i64 visit_i64 0;
        deserialize_i128 visit_i128 0;
        deserialize_u8 visit_u8 0;
        deserialize_u16 visit_u16 0;
        deserialize_u32 visit_u32 0;
        deserialize_u64 visit_u64 0;
        deserialize_u128 visit_u128 0;
        deserialize_f32 visit_f32 0.0;
        deserialize_f64 visit_f64 0.0;
        deserialize_char visit_char 'a';
        deserialize_str visit_borrowed_str "";
        deserialize_string visit_borrowed_str "";
        deserialize_bytes visit_borrowed_bytes &[];
        deserialize_byte_buf visit_borrowed_bytes &[];
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.print.text("unit");
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        self.print.text("any");
        Err(Stop)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        self.print.text("any");
        Err(Stop)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        self.print.text("identifier");
        Err(Stop)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.print.text("option");
        if self.depth >= DEPTH_FULL {
            return visitor.visit_none();
        }
        self.inside(|trace| visitor.visit_some(trace))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.print.text(name);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.print.text(name);
        self.inside(|trace| visitor.visit_newtype_struct(trace))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.print.text("seq");
        let left = usize::from(self.depth < DEPTH_FULL);
        self.elements(left, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.print.number(length as u64);
        self.elements(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.print.text(name);
        self.print.number(length as u64);
        self.elements(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.print.text("map");
        let left = usize::from(self.depth < DEPTH_FULL);
        self.inside(|trace| visitor.visit_map(Elements { trace, left }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.print.text(name);
        for field in fields {
            self.print.text(field);
        }
        self.elements(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.print.text(name);
        for variant in variants {
            self.print.text(variant);
        }
        let own = type_name::<V>();
        let around = self.enums.iter().filter(|other| **other == own).count();
        if around > 1 {
            return Err(Stop);
        }
        let at = self.next;
        if self.choices.len() == at {
            self.choices.push(Choice {
                variant: self.ends.get(own).copied().unwrap_or_default(),
                ..Choice::default()
            });
        }
        let recursive = around == 1;
        let mut choice = std::mem::take(&mut self.choices[at]);
        let index = choice.variant;
        let outer = std::mem::replace(&mut self.choices, std::mem::take(&mut choice.within));
        self.next = 0;
        self.enums.push(own);
        let result = self.inside(|trace| visitor.visit_enum(Variant { trace, index }));
        self.enums.pop();
        choice.within = std::mem::replace(&mut self.choices, outer);
        if recursive && result.is_ok() {
            self.ends.insert(own, index);
        }
        choice.advance(variants.len(), result.is_ok(), recursive);
        self.choices[at] = choice;
        self.next = at + 1;
        result
    }

    fn is_human_readable(&self) -> bool {
        false // as postcard
    }
}

struct Elements<'t, 'p> {
    trace: &'t mut Trace<'p>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.trace).map(Some)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, '_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(&mut *self.trace)
    }
}

struct Variant<'t, 'p> {
    trace: &'t mut Trace<'p>,
    index: u32,
}

impl<'de> EnumAccess<'de> for Variant<'_, '_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Stop> {
        let index: de::value::U32Deserializer<Stop> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        self.trace.print.text("unit");
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        self.trace.print.text("newtype");
        seed.deserialize(self.trace)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        self.trace.print.number(length as u64);
        self.trace.elements(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        for field in fields {
            self.trace.print.text(field);
        }
        self.trace.elements(fields.len(), visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn print<T: for<'de> Deserialize<'de>>() -> u64 {
        let mut print = Fingerprint::new();
        print.add::<T>().unwrap();
        print.finish()
    }

    #[test]
    fn a_field_that_changes_its_name_its_type_or_its_place_changes_the_shape() {
        mod a {
            #[derive(serde::Deserialize)]
            #[allow(dead_code)]
            pub(super) struct S {
                pub(super) x: u32,
                pub(super) y: Option<Vec<String>>,
            }
        }
        macro_rules! other {
            ($($field:ident: $type:ty),*) => {{
                #[derive(serde::Deserialize)]
                #[allow(dead_code)]
                struct S { $($field: $type),* }
                print::<S>()
            }};
        }
        let shape = print::<a::S>();
        assert_eq!(shape, other!(x: u32, y: Option<Vec<String>>));
        assert_ne!(shape, other!(y: Option<Vec<String>>, x: u32));
        assert_ne!(shape, other!(x: u64, y: Option<Vec<String>>));
        assert_ne!(shape, other!(z: u32, y: Option<Vec<String>>));
        assert_ne!(shape, other!(x: u32, y: Option<Vec<u8>>));
        assert_ne!(shape, other!(x: u32));
    }

    #[test]
    fn the_fields_of_every_variant_count() {
        macro_rules! of {
            ($type:ty) => {{
                #[derive(serde::Deserialize)]
                #[allow(dead_code)]
                enum E {
                    A,
                    B(u8),
                    C { inner: $type },
                }
                print::<Vec<E>>()
            }};
        }
        assert_eq!(of!(u32), of!(u32));
        assert_ne!(of!(u32), of!(i32));
    }

    #[test]
    fn every_leaf_of_enums_in_enums_counts_also_where_they_have_one_name() {
        type Nested<A, B, C, D, E, F> = (
            Result<A, Result<B, C>>,
            Vec<Result<Option<Result<D, E>>, F>>,
        );
        let shape = print::<Nested<u16, u16, u16, u16, u16, u16>>();
        let others = [
            print::<Nested<i16, u16, u16, u16, u16, u16>>(),
            print::<Nested<u16, i16, u16, u16, u16, u16>>(),
            print::<Nested<u16, u16, i16, u16, u16, u16>>(),
            print::<Nested<u16, u16, u16, i16, u16, u16>>(),
            print::<Nested<u16, u16, u16, u16, i16, u16>>(),
            print::<Nested<u16, u16, u16, u16, u16, i16>>(),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(*other, shape, "leaf {at}");
            assert!(!others[..at].contains(other), "leaf {at}");
        }
    }

    #[test]
    fn what_follows_a_descriptor_or_a_buffer_counts() {
        use crate::{Buffer, Descriptor};
        assert_ne!(print::<(Descriptor, u32)>(), print::<(Descriptor, i32)>());
        assert_ne!(print::<(Buffer, u32)>(), print::<(Buffer, i32)>());
        assert_ne!(print::<Descriptor>(), print::<u32>());
        assert_ne!(print::<Buffer>(), print::<Descriptor>());
    }

    #[test]
    fn a_recursive_type_has_an_end() {
        #[derive(serde::Deserialize)]
        #[allow(dead_code)]
        enum Tree {
            Branch(Box<Tree>, Box<Tree>),
            List(Vec<Tree>),
            Leaf(u8),
        }
        assert_eq!(print::<Tree>(), print::<Tree>());
    }
}
