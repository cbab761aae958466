//! The fingerprint of a type: its walk ends, is the same each time, and another leaf is another fingerprint.

use std::cell::RefCell;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use crate::wire::schema::Fingerprint;

/// A type, as bytes describe it.
#[derive(Clone, Debug)]
enum Type {
    Leaf(u8),
    Option(Box<Type>),
    Sequence(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Struct(Vec<Type>),
    Enum(Vec<Type>),
}

/// Deeper ones are not walked in full.
const DEPTH: usize = 5;
/// With more, the walks are too many.
const LEAVES: usize = 24;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

pub fn shape(bytes: &[u8]) {
    let Some((&which, mut bytes)) = bytes.split_first() else {
        return;
    };
    let mut leaves = 0;
    let of = read(&mut bytes, 0, &mut leaves);
    if leaves == 0 {
        return;
    }
    let print = fingerprint(&of);
    assert_eq!(print, fingerprint(&of), "{of:?}");
    let mut other = of.clone();
    let mut at = usize::from(which) % leaves;
    change(&mut other, &mut at);
    assert_ne!(print, fingerprint(&other), "{of:?}\n{other:?}");
}

fn read(bytes: &mut &[u8], depth: usize, leaves: &mut usize) -> Type {
    let byte = bytes.split_off_first().copied().unwrap_or_default();
    let inner = |bytes: &mut &[u8], leaves: &mut usize| read(bytes, depth + 1, leaves);
    let several = |bytes: &mut &[u8], leaves: &mut usize| {
        let count = usize::from(byte >> 3) % NAMES.len() + 1;
        (0..count).map(|_| inner(bytes, leaves)).collect()
    };
    match byte % 8 {
        _ if depth == DEPTH || *leaves >= LEAVES => leaf(byte, leaves),
        3 => Type::Option(inner(bytes, leaves).into()),
        4 => Type::Sequence(inner(bytes, leaves).into()),
        5 => Type::Map(inner(bytes, leaves).into(), inner(bytes, leaves).into()),
        6 => Type::Struct(several(bytes, leaves)),
        7 => Type::Enum(several(bytes, leaves)),
        _ => leaf(byte, leaves),
    }
}

fn leaf(byte: u8, leaves: &mut usize) -> Type {
    *leaves += 1;
    Type::Leaf(byte % 3)
}

/// Makes another leaf of the one that is so far on.
fn change(of: &mut Type, at: &mut usize) {
    match of {
        Type::Leaf(kind) => {
            if *at == 0 {
                *kind = (*kind + 1) % 3;
            }
            *at = at.wrapping_sub(1);
        }
        Type::Option(inner) | Type::Sequence(inner) => change(inner, at),
        Type::Map(key, value) => {
            change(key, at);
            change(value, at);
        }
        Type::Struct(parts) | Type::Enum(parts) => {
            parts.iter_mut().for_each(|part| change(part, at));
        }
    }
}

thread_local! {
    /// The type whose turn it is: serde hands no context to a type.
    static OF: RefCell<Option<Type>> = const { RefCell::new(None) };
}

fn fingerprint(of: &Type) -> u64 {
    OF.set(Some(of.clone()));
    let mut print = Fingerprint::new();
    print.add::<Root>().expect("no descriptor is in it");
    print.finish()
}

struct Root;

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let of = OF.with_borrow(Clone::clone).expect("set above");
        Walk::<0>(&of).deserialize(deserializer).map(|()| Root)
    }
}

/// Deserializes a value of this type, at this depth. A type of its own for each depth, because enums within enums of the
/// same type are a recursion.
struct Walk<'a, const DEPTH: usize>(&'a Type);

/// Walks what is one level deeper.
fn deeper<'de, const N: usize, D: DeserializeFor<'de>>(
    of: &Type,
    with: D,
) -> Result<D::Out, D::Error> {
    match N {
        0 => with.with(Walk::<1>(of)),
        1 => with.with(Walk::<2>(of)),
        2 => with.with(Walk::<3>(of)),
        3 => with.with(Walk::<4>(of)),
        _ => with.with(Walk::<5>(of)),
    }
}

/// What takes a seed.
trait DeserializeFor<'de> {
    type Out;
    type Error;
    fn with<S: DeserializeSeed<'de, Value = ()>>(self, seed: S) -> Result<Self::Out, Self::Error>;
}

impl<'de, const N: usize> DeserializeSeed<'de> for Walk<'_, N> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            Type::Leaf(0) => deserializer.deserialize_u16(self),
            Type::Leaf(1) => deserializer.deserialize_i16(self),
            Type::Leaf(_) => deserializer.deserialize_string(self),
            Type::Option(_) => deserializer.deserialize_option(self),
            Type::Sequence(_) => deserializer.deserialize_seq(self),
            Type::Map(..) => deserializer.deserialize_map(self),
            Type::Struct(parts) => {
                deserializer.deserialize_struct("S", &NAMES[..parts.len()], self)
            }
            Type::Enum(parts) => deserializer.deserialize_enum("E", &NAMES[..parts.len()], self),
        }
    }
}

struct Plain<D>(D);
impl<'de, D: Deserializer<'de>> DeserializeFor<'de> for Plain<D> {
    type Out = ();
    type Error = D::Error;
    fn with<S: DeserializeSeed<'de, Value = ()>>(self, seed: S) -> Result<(), D::Error> {
        seed.deserialize(self.0)
    }
}

struct Element<'a, A>(&'a mut A);
impl<'de, A: SeqAccess<'de>> DeserializeFor<'de> for Element<'_, A> {
    type Out = Option<()>;
    type Error = A::Error;
    fn with<S: DeserializeSeed<'de, Value = ()>>(self, seed: S) -> Result<Option<()>, A::Error> {
        self.0.next_element_seed(seed)
    }
}

struct Key<'a, A>(&'a mut A);
impl<'de, A: MapAccess<'de>> DeserializeFor<'de> for Key<'_, A> {
    type Out = Option<()>;
    type Error = A::Error;
    fn with<S: DeserializeSeed<'de, Value = ()>>(self, seed: S) -> Result<Option<()>, A::Error> {
        self.0.next_key_seed(seed)
    }
}

struct Entry<'a, A>(&'a mut A);
impl<'de, A: MapAccess<'de>> DeserializeFor<'de> for Entry<'_, A> {
    type Out = ();
    type Error = A::Error;
    fn with<S: DeserializeSeed<'de, Value = ()>>(self, seed: S) -> Result<(), A::Error> {
        self.0.next_value_seed(seed)
    }
}

struct Newtype<A>(A);
impl<'de, A: VariantAccess<'de>> DeserializeFor<'de> for Newtype<A> {
    type Out = ();
    type Error = A::Error;
    fn with<S: DeserializeSeed<'de, Value = ()>>(self, seed: S) -> Result<(), A::Error> {
        self.0.newtype_variant_seed(seed)
    }
}

impl<'de, const N: usize> Visitor<'de> for Walk<'_, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of this type")
    }

    fn visit_u16<E>(self, _: u16) -> Result<(), E> {
        Ok(())
    }

    fn visit_i16<E>(self, _: i16) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        match self.0 {
            Type::Option(inner) => deeper::<N, _>(inner, Plain(value)),
            _ => unreachable!("no option was asked for"),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        match self.0 {
            Type::Struct(parts) => {
                for part in parts {
                    deeper::<N, _>(part, Element(&mut elements))?;
                }
            }
            Type::Sequence(inner) => {
                while deeper::<N, _>(inner, Element(&mut elements))?.is_some() {}
            }
            _ => unreachable!("no sequence was asked for"),
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Type::Map(key, value) = self.0 else {
            unreachable!("no map was asked for");
        };
        while deeper::<N, _>(key, Key(&mut entries))?.is_some() {
            deeper::<N, _>(value, Entry(&mut entries))?;
        }
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<(), A::Error> {
        let Type::Enum(parts) = self.0 else {
            unreachable!("no enum was asked for");
        };
        let (index, variant) = data.variant::<u32>()?;
        deeper::<N, _>(&parts[index as usize], Newtype(variant))
    }
}
