package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
)

// rattler makes a channel and installs its packages into a prefix with pixi's library. Then it
// lists the files of each package, one NAME, tab and PATH per line. The arguments are the prefix, a
// directory for all other files, and the version of zlib.
const rattler = `
import asyncio, hashlib, io, json, os, sys, tarfile
from pathlib import Path
import rattler, rattler.index
prefix, channel, cache, zlib = Path(sys.argv[1]), Path(sys.argv[2], "channel"), Path(sys.argv[2], "cache"), sys.argv[3]
(channel / "noarch").mkdir(parents=True, exist_ok=True)
sizes = {"openssl": 900_000, "zlib": 90_000, "libcurl": 600_000, "numpy": 950_000}
for name, size in sizes.items():
    version = zlib if name == "zlib" else "1.0"
    data = b"".join(hashlib.sha256(f"{name} {version} {i}".encode()).digest() for i in range(size // 32))
    files = {f"lib/lib{name}.so.1": data, f"share/{name}/README": f"about {name}".encode()}
    about = {"name": name, "version": version, "build": "h0_0", "build_number": 0, "depends": [], "subdir": "noarch", "timestamp": 1650000000000}
    paths = [{"_path": p, "path_type": "hardlink", "sha256": hashlib.sha256(d).hexdigest(), "size_in_bytes": len(d)} for p, d in files.items()]
    files["info/index.json"] = json.dumps(about).encode()
    files["info/paths.json"] = json.dumps({"paths_version": 1, "paths": paths}).encode()
    with tarfile.open(channel / "noarch" / f"{name}-{version}-h0_0.tar.bz2", "w:bz2", compresslevel=1) as tar:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
async def install():
    await rattler.index.index_fs(channel)
    records = await rattler.solve([f"file://{channel}"], [*(sizes.keys() - {"zlib"}), f"zlib =={zlib}"], platforms=["noarch"])
    await rattler.install(records, target_prefix=str(prefix), cache_dir=str(cache), show_progress=False)
asyncio.run(install())
for path in sorted((prefix / "conda-meta").glob("*.json")):
    record = rattler.PrefixRecord.from_path(path)
    for file in record.files:
        print(record.name.normalized, prefix / file, sep="\t")
# rattler's threads can crash Python while it exits normally.
sys.stdout.flush()
os._exit(0)
`

// pixi's library installs and updates packages that this test makes, because no registry that this
// test can use contains conda packages. The library's records determine which package a file
// belongs to.
func TestCondaInstaller(t *testing.T) {
	t.Parallel()
	clients.Need(t, "python3")
	dir, root := t.TempDir(), t.TempDir()
	library := filepath.Join(dir, "library")
	get := start(t, exec.Command("python3", "-m", "pip", "install", "--quiet", "--target", library, "py-rattler==0.28.0"))
	if get.code != 0 {
		clients.Lack(t, "cannot install py-rattler: "+get.stderr)
	}
	install := func(version string) string {
		t.Helper()
		cmd := exec.Command("python3", "-c", rattler, filepath.Join(root, "opt/conda"), dir, version)
		cmd.Env = append(os.Environ(), "PYTHONPATH="+library, "HOME="+dir)
		return clients.Run(t, cmd)
	}
	list := install("1.0")
	o := assign(t, root)
	listed := 0
	for line := range strings.Lines(list) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), "\t")
		listed++
		if got := o.of(strings.TrimPrefix(path, root)); got != "conda/"+name {
			t.Errorf("%q is of %q, and its record says %s", path, got, name)
		}
	}
	if listed != 8 {
		t.Errorf("the records list %d files:\n%s", listed, list)
	}
	if got := o.components["conda/zlib"]; got == nil || !slices.Equal(got.Updates, []int64{1_650_000_000}) {
		t.Errorf("zlib is %+v", got)
	}
	checkUpdate(t, root, update{"conda", func() { install("1.1") },
		[]string{"opt/conda/lib/*zlib*", "opt/conda/share/zlib", "opt/conda/conda-meta/zlib*", "opt/conda/conda-meta/history"}})
}
