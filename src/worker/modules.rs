//! The files that the code of this process comes from: for frames that cannot be named here, because a program is
//! stripped. Its name, the offset in it and its build id are the same in each run, and are enough for a debugger that has
//! the symbols (`eu-addr2line`, `debuginfod-find debuginfo`).
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr, c_int, c_void};
use std::fmt::Write;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::spawn::own_file;

/// One program or library.
struct Module {
    path: PathBuf,
    /// How far from the addresses in its file it was loaded.
    bias: usize,
    code: Vec<Range<usize>>,
    build_id: Option<String>,
}

/// All modules, looked up when the first address has no name.
#[derive(Default)]
pub(super) struct Modules {
    all: Option<Vec<Module>>,
    /// Those that were asked for.
    used: BTreeSet<usize>,
}

impl Modules {
    /// An address as the name of its module and the offset in it.
    pub(super) fn place(&mut self, address: usize) -> String {
        let all = self.all.get_or_insert_with(all);
        let is_in = |module: &Module| module.code.iter().any(|code| code.contains(&address));
        let Some(index) = all.iter().position(is_in) else {
            return format!("{address:#x}");
        };
        self.used.insert(index);
        let module = &all[index];
        let name = module.path.file_name().unwrap_or_default().display();
        format!("{name}+{:#x}", address.wrapping_sub(module.bias))
    }

    /// The modules that were named, with their build ids.
    pub(super) fn legend(&self) -> String {
        let mut text = String::new();
        let modules = self.all.iter().flatten().enumerate();
        for (_, module) in modules.filter(|(index, _)| self.used.contains(index)) {
            let build_id = module.build_id.as_deref().unwrap_or("none");
            let _ = writeln!(text, "{}: build id {build_id}", module.path.display());
        }
        text
    }
}

fn all() -> Vec<Module> {
    let mut modules = Vec::new();
    // SAFETY: the function is called with the vector, before this returns.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut modules).cast()) };
    modules
}

/// Adds a module to a vector.
///
/// # Safety
///
/// To be called by dl_iterate_phdr(3), with a `Vec<Module>`.
unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, modules: *mut c_void) -> c_int {
    // SAFETY: as the caller says.
    let modules = unsafe { &mut *modules.cast::<Vec<Module>>() };
    // SAFETY: valid during the call.
    let info = unsafe { &*info };
    // SAFETY: as many headers as it says, for as long as the module is loaded.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    // SAFETY: a string that lives as long.
    let name = unsafe { CStr::from_ptr(info.dlpi_name) };
    let bias = info.dlpi_addr as usize;
    let in_memory = |header: &libc::Elf64_Phdr| {
        let start = bias.wrapping_add(header.p_vaddr as usize);
        start..start.wrapping_add(header.p_memsz as usize)
    };
    let of_type = |kind| headers.iter().filter(move |header| header.p_type == kind);
    let build_id = of_type(libc::PT_NOTE).find_map(|header| {
        let memory = in_memory(header);
        let start = std::ptr::with_exposed_provenance(memory.start);
        // SAFETY: notes are a part of what is loaded, and are not changed.
        build_id(unsafe { std::slice::from_raw_parts(start, memory.len()) })
    });
    modules.push(Module {
        path: match name.to_bytes() {
            // The program itself, which is the first.
            b"" if modules.is_empty() => own_file().unwrap_or_else(|| "program".into()),
            b"" => "the kernel's".into(),
            name => OsStr::from_bytes(name).into(),
        },
        bias,
        code: of_type(libc::PT_LOAD).map(in_memory).collect(),
        build_id,
    });
    0
}

/// The build id among the notes of a module; see elf(5).
fn build_id(mut notes: &[u8]) -> Option<String> {
    const GNU_BUILD_ID: u32 = 3;
    loop {
        let (head, rest) = notes.split_first_chunk::<12>()?;
        let number =
            |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (name, rest) = rest.split_at_checked((number(0) as usize).next_multiple_of(4))?;
        let length = number(4) as usize;
        let id = rest.get(..length)?;
        if number(8) == GNU_BUILD_ID && name == b"GNU\0" {
            return Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        notes = rest.get(length.next_multiple_of(4)..)?;
    }
}
