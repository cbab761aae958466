//! Finds out which part of a value cannot be encoded, and why.
//!
//! postcard's errors carry no text: that a path is not UTF-8, or the error of an author's own `Serialize`, is lost. So a
//! value that could not be encoded is serialized once more, by a serializer that writes nothing and keeps the names of
//! the fields on the way.

use std::fmt::{self, Display};

use serde::ser::{self, Serialize};

/// Which part of `value` cannot be encoded, and why. `None` if it could be, this time.
pub(super) fn refuses<T: Serialize + ?Sized>(value: &T) -> Option<Refusal> {
    let mut walk = Walk { way: Vec::new() };
    let Reason(reason) = value.serialize(&mut walk).err()?;
    Some(Refusal {
        way: walk.way,
        reason,
    })
}

/// Why, and the fields that lead to the part.
#[derive(Debug)]
pub(crate) struct Refusal {
    way: Vec<&'static str>,
    reason: String,
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.way.is_empty() {
            write!(f, "`{}`: ", self.way.join("."))?;
        }
        f.write_str(&self.reason)?;
        if self.reason == "path contains invalid UTF-8 characters" {
            f.write_str(" (to send any path, use `#[serde(with = \"legwork::path\")]`)")?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Reason(String);

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Reason {}

impl ser::Error for Reason {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

struct Walk {
    way: Vec<&'static str>,
}

impl Walk {
    /// Serializes a named part. After an error the way leads to it.
    fn through<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        part: &T,
    ) -> Result<(), Reason> {
        self.way.push(name);
        part.serialize(&mut *self)?;
        self.way.pop();
        Ok(())
    }

    fn counted(&mut self, len: Option<usize>) -> Result<&mut Self, Reason> {
        match len {
            Some(_) => Ok(self),
            None => Err(Reason(
                "the number of its elements is not known in advance (`flatten` causes this)"
                    .to_owned(),
            )),
        }
    }
}

struct Nowhere;

impl fmt::Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// Methods that never fail.
macro_rules! fine {
    ($($method:ident($($type:ty),*);)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<(), Reason> {
            Ok(())
        }
    )*};
}

impl<'w> ser::Serializer for &'w mut Walk {
    type Ok = ();
    type Error = Reason;
    type SerializeSeq = &'w mut Walk;
    type SerializeTuple = &'w mut Walk;
    type SerializeTupleStruct = &'w mut Walk;
    type SerializeTupleVariant = &'w mut Walk;
    type SerializeMap = &'w mut Walk;
    type SerializeStruct = &'w mut Walk;
    type SerializeStructVariant = &'w mut Walk;

    fine! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Reason> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Reason> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Reason> {
        self.through(variant, value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self, Reason> {
        self.counted(len)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Reason> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Reason> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Reason> {
        self.way.push(variant);
        Ok(self)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self, Reason> {
        self.counted(len)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Reason> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Reason> {
        self.way.push(variant);
        Ok(self)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Reason> {
        // Not by `to_string`, which panics when formatting fails.
        fmt::write(&mut Nowhere, format_args!("{value}"))
            .map_err(|_| Reason("it cannot be formatted".to_owned()))
    }

    fn is_human_readable(&self) -> bool {
        false // as postcard
    }
}

/// Compounds whose parts have no names of their own.
macro_rules! nameless {
    ($($trait:ident $method:ident;)*) => {$(
        impl ser::$trait for &mut Walk {
            type Ok = ();
            type Error = Reason;

            fn $method<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Reason> {
                part.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Reason> {
                Ok(())
            }
        }
    )*};
}

nameless! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
}

impl ser::SerializeTupleVariant for &mut Walk {
    type Ok = ();
    type Error = Reason;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Reason> {
        part.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Reason> {
        self.way.pop();
        Ok(())
    }
}

impl ser::SerializeMap for &mut Walk {
    type Ok = ();
    type Error = Reason;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Reason> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Reason> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Reason> {
        Ok(())
    }
}

impl ser::SerializeStruct for &mut Walk {
    type Ok = ();
    type Error = Reason;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        part: &T,
    ) -> Result<(), Reason> {
        self.through(name, part)
    }

    fn end(self) -> Result<(), Reason> {
        Ok(())
    }
}

impl ser::SerializeStructVariant for &mut Walk {
    type Ok = ();
    type Error = Reason;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        part: &T,
    ) -> Result<(), Reason> {
        self.through(name, part)
    }

    fn end(self) -> Result<(), Reason> {
        self.way.pop();
        Ok(())
    }
}
