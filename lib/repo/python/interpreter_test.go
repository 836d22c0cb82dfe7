package python

import (
	"testing"

	"chunkah/lib/repo/places/placestest"
)

func TestInterpreters(t *testing.T) {
	r := placestest.New(t)
	const uv = "/root/.local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu"
	for _, path := range []string{
		"/usr/local/lib/python3.12/os.py", "/usr/local/lib/python3.12/json/a.py", "/usr/local/lib/python3.12/lib-dynload/a.so", "/usr/local/bin/python3.12",
		"/usr/local/include/python3.12/Python.h", "/usr/local/lib/libpython3.12.so.1.0", "/usr/local/lib/libpython3.so", "/usr/local/lib/pkgconfig/python-3.12-embed.pc",
		"/usr/local/bin/idle3.12", "/usr/local/bin/2to3-3.12", "/usr/local/bin/python3.12-config", "/usr/local/share/man/man1/python3.12.1",
		"/usr/local/bin/mine", "/usr/local/lib/mine.so", "/usr/local/lib/python3.12/site-packages/mine.py", "/usr/local/lib/python3.12/site-packages/six.py",
		"/usr/local/lib/python3.1/os.py", "/usr/local/bin/python3.1", "/usr/local/lib/libpython3.1.so",
		uv + "/lib/python3.12/os.py", uv + "/bin/python3.12", uv + "/lib/tcl8.6/x.tcl", uv + "/lib/python3.12/site-packages/mine.py",
		"/opt/venv/lib/python3.12/site-packages/x.py", "/opt/other/lib/python3.12/os.py", "/opt/odd/lib/pythonx.y/os.py", "/opt/odd/bin/pythonx.y",
		"/usr/lib/python3.11/os.py", "/usr/bin/python3.11", "/usr/lib/python3.11/mine.py",
	} {
		r.File(path, "")
	}
	r.Own("dpkg/python3.11", "/usr/lib/python3.11/os.py", "/usr/bin/python3.11")
	r.Symlink("/usr/local/bin/python3", "python3.12").Symlink("/usr/local/bin/python", "python3").File("/usr/local/lib/python3.12/__pycache__/os.cpython-312.pyc", "")
	r.File("/usr/local/lib/python3.12/site-packages/six-1.dist-info/METADATA", "").File("/usr/local/lib/python3.12/site-packages/six-1.dist-info/RECORD", "six.py,,\n../../../bin/six,,\n")
	r.File("/usr/local/bin/six", "")
	a := r.Assign(Repo{})
	a.WantWarnings()
	const local, mine = "python/cpython-3.12@/usr/local", "chunkah/unclaimed/usr/local/lib"
	a.Want(
		uv+"/bin/python3.12", "python/cpython-3.12",
		uv+"/lib/tcl8.6/x.tcl", "python/cpython-3.12",
		uv+"/lib/python3.12/site-packages/mine.py", "chunkah/unclaimed",
		"/usr/local/lib/python3.12/os.py", local,
		"/usr/local/lib/python3.12/__pycache__/os.cpython-312.pyc", local,
		"/usr/local/lib/python3.12/json/a.py", local,
		"/usr/local/lib/python3.12/lib-dynload/a.so", local,
		"/usr/local/include/python3.12/Python.h", local,
		"/usr/local/lib/libpython3.12.so.1.0", local,
		"/usr/local/lib/pkgconfig/python-3.12-embed.pc", local,
		"/usr/local/bin/idle3.12", local,
		"/usr/local/bin/2to3-3.12", local,
		"/usr/local/bin/python3.12-config", local,
		"/usr/local/share/man/man1/python3.12.1", local,
		"/usr/local/lib/python3.12/site-packages/six.py", "python/six",
		"/usr/local/bin/six", "python/six",
		"/usr/local/lib/python3.12/site-packages/mine.py", mine,
		"/usr/local/lib/mine.so", mine,
		"/usr/local/bin/mine", "chunkah/unclaimed/usr/local/bin",
		"/usr/local/lib/libpython3.1.so", "python/cpython-3.1",
		"/opt/venv/lib/python3.12/site-packages/x.py", "chunkah/unclaimed/opt/venv",
		"/opt/other/lib/python3.12/os.py", "chunkah/unclaimed/opt/other",
		"/opt/odd/lib/pythonx.y/os.py", "chunkah/unclaimed/opt/odd",
		"/usr/lib/python3.11/mine.py", "chunkah/unclaimed",
	)
}

func TestAlone(t *testing.T) {
	for prefix, want := range map[string]bool{"/x/3.1": true, "/x/3.1.4": true, "/x/cpython-3.1.4-linux": true, "/x/3.12": false, "/usr/local": false, "/": false} {
		if got := (interpreter{prefix, "3.1"}).isAlone(); got != want {
			t.Errorf("%s: %t", prefix, got)
		}
	}
}
