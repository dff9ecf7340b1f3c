//! Builds, for the feature `cuda`, what loads the CUDA libraries when they are first used.
//!
//! candle links to libcuda, libcublas and libcurand: without an NVIDIA driver such a program would not even start to
//! say so. Functions of the same names that are part of the program take their places, and `loader.c` forwards them.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=src/vae/cuda");
    #[cfg(feature = "cuda")]
    loader::build()?;
    Ok(())
}

#[cfg(feature = "cuda")]
mod loader {
    use std::collections::BTreeSet;
    use std::error::Error;
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    /// Where a toolkit may be, as candle's own build looks for it.
    const ROOTS: [&str; 4] = [
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDA_ROOT",
        "CUDA_TOOLKIT_ROOT_DIR",
    ];

    const USUAL_ROOTS: [&str; 4] = ["/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda", "/usr"];

    /// A library: what its functions are called in `loader.c`.
    struct Library {
        name: &'static str,
        headers: &'static [&'static str],
        /// How the names of its functions begin.
        prefix: &'static str,
        /// How they may end in code that was compiled for a stream a thread.
        endings: &'static [&'static str],
    }

    const LIBRARIES: [Library; 5] = [
        Library {
            name: "DRIVER",
            headers: &["cuda.h"],
            prefix: "cu",
            endings: &[""],
        },
        Library {
            name: "BLAS",
            headers: &["cublas_api.h", "cublas_v2.h"],
            prefix: "cublas",
            endings: &[""],
        },
        Library {
            name: "BLAS_LT",
            headers: &["cublasLt.h"],
            prefix: "cublasLt",
            endings: &[""],
        },
        Library {
            name: "RANDOM",
            headers: &["curand.h"],
            prefix: "curand",
            endings: &[""],
        },
        Library {
            name: "RUNTIME",
            headers: &[
                "cuda_runtime_api.h",
                "crt/host_runtime.h",
                "crt/device_functions.h",
            ],
            prefix: "cuda",
            endings: &["", "_ptsz", "_ptds"],
        },
    ];

    pub fn build() -> Result<(), Box<dyn Error>> {
        let headers = headers()?;
        let mut text = String::new();
        for library in LIBRARIES {
            text += &library.functions(&headers)?;
        }
        for (name, file) in [("CUBLAS", "cublas_api.h"), ("CURAND", "curand.h")] {
            let major = version(&read(&headers.join(file))?, name)?;
            text += &format!("#define {name}_MAJOR \"{major}\"\n");
        }
        let out = PathBuf::from(env::var("OUT_DIR")?);
        fs::write(out.join("functions.h"), text)?;
        cc::Build::new()
            .file("src/vae/cuda/loader.c")
            .include(&out)
            .flag("-fvisibility=hidden")
            .link_lib_modifier("+whole-archive")
            .compile("outlierd_cuda_loader");
        println!("cargo:rustc-link-lib=dylib=dl");
        Ok(())
    }

    fn headers() -> Result<PathBuf, String> {
        for root in ROOTS {
            println!("cargo:rerun-if-env-changed={root}");
        }
        let named = ROOTS.iter().filter_map(env::var_os).map(PathBuf::from);
        named
            .chain(USUAL_ROOTS.map(PathBuf::from))
            .map(|root| root.join("include"))
            .find(|folder| folder.join("cuda.h").exists())
            .ok_or_else(|| {
                format!(
                    "the feature `cuda` wants a CUDA toolkit: install one, or name its folder in {}",
                    ROOTS[0]
                )
            })
    }

    fn read(path: &Path) -> Result<String, String> {
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    }

    impl Library {
        /// The list of its functions, as a macro that takes another one.
        fn functions(&self, headers: &Path) -> Result<String, String> {
            let mut names = BTreeSet::new();
            for file in self.headers {
                let text = read(&headers.join(file))?;
                for name in self.names(&text) {
                    names.extend(self.endings.iter().map(|ending| format!("{name}{ending}")));
                }
            }
            let mut list = format!("#define {}_FUNCTIONS(X)", self.name);
            for name in names {
                list += &format!(" \\\n    X({name})");
            }
            Ok(list + "\n")
        }

        /// Every word in `text` that may be the name of a function: the prefix and then a capital, with or without
        /// underscores before it. Those that are none cost a pointer each.
        fn names<'a>(&self, text: &'a str) -> impl Iterator<Item = &'a str> {
            text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                .filter(|word| {
                    let bare = word.trim_start_matches('_');
                    let rest = bare.strip_prefix(self.prefix);
                    rest.is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_uppercase()))
                })
                // The header of one library names the other.
                .filter(|word| self.name != "BLAS" || !word.starts_with("cublasLt"))
        }
    }

    fn version(text: &str, name: &str) -> Result<String, String> {
        let definition = format!("{name}_VER_MAJOR");
        let line = text.lines().find(|line| line.contains(&definition));
        let number = line.and_then(|line| line.split_whitespace().nth(2));
        match number {
            Some(number) => Ok(number.to_owned()),
            None => Err(format!("no {definition} in the headers of the toolkit")),
        }
    }
}
