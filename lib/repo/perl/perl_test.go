package perl

import (
	"strings"
	"testing"

	"chunkah/lib/assign"
	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

const (
	site = "/usr/local/lib/perl5/site_perl/5.36.0"
	arch = site + "/x86_64-linux-gnu"
)

func TestLists(t *testing.T) {
	r := placestest.New(t)
	for _, path := range []string{site + "/Acme/Small.pm", "/usr/local/bin/small", "/usr/local/share/man/man3/Acme::Small.3", site + "/Mine.pm", arch + "/DBI.so", "/usr/local/bin/perl",
		arch + "/.meta/libwww-perl-6.67/MYMETA.json", site + "/LWP.pm", "/app/local/lib/perl5/Acme/Small.pm"} {
		r.File(path, "")
	}
	r.File(arch+"/auto/Acme/Small/.packlist", site+"/Acme/Small.pm\n/usr/local/bin/small type=file\n/usr/local/share/man/man3/Acme::Small.3\n/usr/local/bin/gone\n/usr/local/bin\n")
	r.File(arch+"/auto/DBI/.packlist", arch+"/DBI.so from=/build/DBI.so type=file\n").File(arch+"/auto/LWP/.packlist", site+"/LWP.pm\n")
	r.File(arch+"/.meta/libwww-perl-6.67/install.json", `{"name": "LWP", "dist": "libwww-perl-6.67"}`)
	r.File("/usr/local/lib/perl5/5.36.0/x86_64-linux-gnu/.packlist", "/usr/local/bin/perl\n").File("/usr/local/lib/perl5/5.36.0/x86_64-linux-gnu/perllocal.pod", "")
	r.File("/app/local/lib/perl5/x86_64-linux-gnu/auto/Acme/Small/.packlist", "/build/root/app/local/lib/perl5/Acme/Small.pm\n").File("/srv/data/.packlist", "/etc/passwd\n").File("/etc/passwd", "")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want(
		"/app/local/lib/perl5/Acme/Small.pm", "perl/Acme-Small",
		site+"/Acme/Small.pm", "perl/Acme-Small@/usr/local",
		"/usr/local/bin/small", "perl/Acme-Small@/usr/local",
		"/usr/local/share/man/man3/Acme::Small.3", "perl/Acme-Small@/usr/local",
		arch+"/auto/Acme/Small/.packlist", "perl/Acme-Small@/usr/local",
		arch+"/DBI.so", "perl/DBI",
		arch+"/.meta/libwww-perl-6.67/MYMETA.json", "perl/LWP",
		site+"/LWP.pm", "perl/LWP",
		site+"/Mine.pm", "chunkah/unclaimed/usr/local/lib",
		"/usr/local/bin/perl", "perl/perl",
		"/usr/local/lib/perl5/5.36.0/x86_64-linux-gnu/perllocal.pod", "perl/.database",
		"/etc/passwd", "chunkah/unclaimed",
	)
}

func TestDamage(t *testing.T) {
	r := placestest.New(t).File(arch+"/auto/A/.packlist", "/usr/local/a\nrelative\n/x\x00\n").File("/usr/local/a", "").Sparse(arch+"/auto/B/.packlist", maxList+1)
	r.File(arch+"/.meta/C-1/install.json", "{").File(arch+"/.meta/D-1/install.json", `{"name": "../D"}`).Mkdir(arch + "/auto/E/.packlist")
	a := r.Assign(Repo{})
	a.WantWarnings(`"C-1"|is not in the format of cpanm`, `"D-1"|"../D" is not the name of a module`, `perl: distribution "A": line 2 of "`+arch+`/auto/A/.packlist": "relative" is not an absolute path`, `"B"|is larger than`)
	a.Want("/usr/local/a", "perl/A", arch+"/auto/B/.packlist", "perl/B", arch+"/.meta/C-1/install.json", "chunkah/unclaimed/usr/local/lib")
	if result, err := (Repo{}).Load(t.Context(), placestest.New(t).File("/x", "").Tree()); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

func FuzzLists(f *testing.F) {
	f.Add([]byte("/a b type=file\n"), arch+"/auto/A/B/.packlist")
	f.Add([]byte(`{"name": "A::B"}`), "/lib/perl/.packlist")
	f.Fuzz(func(t *testing.T, raw []byte, path string) {
		bound.Input(t, len(raw)+len(path))
		if listed, err := parseLine(raw); err == nil && listed != "" && (listed[0] != '/' || len(listed) > assign.MaxListed) {
			t.Errorf("got %q", listed)
		}
		if m, err := parseMeta(raw); err == nil && (m.component == "" || strings.Contains(m.component, "/") || m.dist == "") {
			t.Errorf("got %+v", m)
		}
		if !strings.HasPrefix(path, "/") {
			return
		}
		if prefix, name := split(path); prefix == "" || strings.Contains(name, "/") {
			t.Errorf("%q: got %q, %q", path, prefix, name)
		}
	})
}
