//! Counts the memory that a value takes while it is decoded, and fails when that is too much.
//!
//! A few bytes can become much more: in a list of texts an empty one is a byte in the frame, and 24 in memory; of a large
//! enum, a byte can be hundreds. Only serde knows the types, so this is a layer between it and postcard. Each value counts
//! with the size of its type, also as a part of the value that it is in: the estimate is rather high. What has no size
//! counts as well, so that a list of such values has an end.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use crate::wire::control::FRAME_MAX;

/// How many bytes a value may still take; `None` once it has taken too many.
pub(super) type Allowance = Cell<Option<usize>>;

/// The most memory that a decoded value may take, as far as that can be estimated, in bytes (256 MiB).
pub(super) const DECODED_MAX: usize = 4 * FRAME_MAX;

/// What a value without a size counts as: it takes time.
const NO_SIZE: usize = 64;

/// For how many elements memory may be taken before the first of them has been decoded. In nested lists, each may claim as
/// many as there are bytes left, and would get up to a MiB.
const RESERVED_MAX: usize = 64;

fn reserved(claimed: Option<usize>) -> Option<usize> {
    claimed.map(|claimed| claimed.min(RESERVED_MAX))
}

/// Any of serde's parts that values come through.
pub(super) struct Counted<'a, T> {
    pub(super) inner: T,
    pub(super) allowance: &'a Allowance,
}

impl<'a, T> Counted<'a, T> {
    fn around<U>(&self, inner: U) -> Counted<'a, U> {
        let allowance = self.allowance;
        Counted { inner, allowance }
    }

    #[inline]
    fn take<V, E: Error>(&self) -> Result<(), E> {
        let size = match size_of::<V>() {
            0 => NO_SIZE,
            size => size,
        };
        let left = self.allowance.get();
        let left = left.and_then(|left| left.checked_sub(size));
        self.allowance.set(left);
        left.map(drop)
            .ok_or_else(|| E::custom("it takes too much memory"))
    }
}

/// Methods that count a value, and let others come through its visitor.
macro_rules! with_parts {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.take::<V::Value, _>()?;
            let visitor = self.around(visitor);
            self.inner.$method($($name,)* visitor)
        }
    )*};
}

/// Methods that count a value which has no parts.
macro_rules! without_parts {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.take::<V::Value, _>()?;
            self.inner.$method(visitor)
        }
    )*};
}

/// Methods that hand something over, through which others come.
macro_rules! hands_over {
    ($($method:ident($part:ident))*) => {$(
        fn $method<P: $part<'de>>(self, part: P) -> Result<V::Value, P::Error> {
            let part = self.around(part);
            self.inner.$method(part)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Counted<'_, D> {
    type Error = D::Error;

    without_parts! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_identifier deserialize_ignored_any
    }

    with_parts! {
        deserialize_option();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// What postcard calls for values that have parts.
impl<'de, V: Visitor<'de>> Visitor<'de> for Counted<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    hands_over! {
        visit_some(Deserializer) visit_newtype_struct(Deserializer) visit_seq(SeqAccess) visit_map(MapAccess)
        visit_enum(EnumAccess)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Counted<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<S::Value, D::Error> {
        let value = self.around(value);
        self.inner.deserialize(value)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = self.around(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        reserved(self.inner.size_hint())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = self.around(seed);
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.around(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        reserved(self.inner.size_hint())
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Counted<'a, A> {
    type Error = A::Error;
    type Variant = Counted<'a, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let allowance = self.allowance;
        let (name, inner) = self.inner.variant_seed(seed)?;
        Ok((name, Counted { inner, allowance }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.around(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.around(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.around(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}
