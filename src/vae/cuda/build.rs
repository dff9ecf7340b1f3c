//! Builds, for the feature `cuda`, what loads the CUDA libraries when they are first used.
//!
//! candle links to libcuda, libcublas and libcurand: without an NVIDIA driver such a program would not even start to
//! say so. Functions of the same names that are part of the program take their places, and `loader.c` forwards them.

fn main() {
    println!("cargo:rerun-if-changed=src/vae/cuda");
    #[cfg(feature = "cuda")]
    loader::build();
}

#[cfg(feature = "cuda")]
mod loader {
    use std::collections::BTreeSet;
    use std::fmt::Write;
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    /// Where a toolkit may be, as candle's own build looks for it.
    const ROOTS: [&str; 4] = [
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDA_ROOT",
        "CUDA_TOOLKIT_ROOT_DIR",
    ];

    /// A library: what its symbols are called in `loader.c`, its headers, and how their functions begin.
    const LIBRARIES: [(&str, &[&str], &str); 5] = [
        ("DRIVER", &["cuda.h"], "cu"),
        ("BLAS", &["cublas_api.h", "cublas_v2.h"], "cublas"),
        ("BLAS_LT", &["cublasLt.h"], "cublasLt"),
        ("RANDOM", &["curand.h"], "curand"),
        (
            "RUNTIME",
            &[
                "cuda_runtime_api.h",
                "crt/host_runtime.h",
                "crt/device_functions.h",
            ],
            "cuda",
        ),
    ];

    pub fn build() {
        let headers = headers();
        let mut text = String::new();
        for (library, files, prefix) in LIBRARIES {
            // Code compiled for a stream a thread calls the runtime's functions by longer names.
            let endings: &[&str] = match library {
                "RUNTIME" => &["", "_ptsz", "_ptds"],
                _ => &[""],
            };
            let names: BTreeSet<String> = files
                .iter()
                .flat_map(|file| functions(&read(&headers.join(file)), prefix))
                .flat_map(|name| endings.iter().map(move |ending| format!("{name}{ending}")))
                .collect();
            let _ = write!(text, "#define {library}_FUNCTIONS(X)");
            for name in names {
                let _ = write!(text, " \\\n    X({name})");
            }
            text.push('\n');
        }
        for (name, file) in [("CUBLAS", "cublas_api.h"), ("CURAND", "curand.h")] {
            let major = version(&read(&headers.join(file)), name);
            let _ = writeln!(text, "#define {name}_MAJOR \"{major}\"");
        }
        let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
        if let Err(error) = fs::write(out.join("functions.h"), text) {
            panic!("writing functions.h: {error}");
        }
        cc::Build::new()
            .file("src/vae/cuda/loader.c")
            .include(&out)
            .flag("-fvisibility=hidden")
            .link_lib_modifier("+whole-archive")
            .compile("outlierd_cuda_loader");
        println!("cargo:rustc-link-lib=dylib=dl");
    }

    fn headers() -> PathBuf {
        for root in ROOTS {
            println!("cargo:rerun-if-env-changed={root}");
        }
        let named = ROOTS.iter().filter_map(env::var_os).map(PathBuf::from);
        let usual = ["/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda", "/usr"];
        let mut found = named
            .chain(usual.map(PathBuf::from))
            .map(|root| root.join("include"))
            .filter(|folder| folder.join("cuda.h").exists());
        match found.next() {
            Some(folder) => folder,
            None => panic!(
                "the feature `cuda` wants a CUDA toolkit: install one, or name its folder in CUDA_HOME"
            ),
        }
    }

    fn read(path: &Path) -> String {
        match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// Every name in `text` that may be that of a function: `prefix` and then a capital, a `__` before it or not. Those
    /// that are none cost a pointer each.
    fn functions(text: &str, prefix: &str) -> BTreeSet<String> {
        text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .filter(|word| {
                let rest = word.trim_start_matches("__").strip_prefix(prefix);
                rest.is_some_and(|rest| {
                    rest.starts_with(|letter: char| letter.is_ascii_uppercase())
                })
            })
            .filter(|word| prefix != "cublas" || !word.starts_with("cublasLt"))
            .map(str::to_owned)
            .collect()
    }

    fn version(text: &str, name: &str) -> String {
        let definition = format!("{name}_VER_MAJOR");
        let line = text.lines().find(|line| line.contains(&definition));
        let number = line.and_then(|line| line.split_whitespace().nth(2));
        match number {
            Some(number) => number.to_owned(),
            None => panic!("no {definition} in the toolkit's headers"),
        }
    }
}
