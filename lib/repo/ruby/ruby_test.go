package ruby

import (
	"testing"

	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

const home = "/usr/local/bundle"

// specification returns a specification as RubyGems writes it.
func specification(name, version, platform, executables string) string {
	return "# -*- encoding: utf-8 -*-\n# stub: " + name + " " + version + " " + platform + " lib\n# stub: ext/x/extconf.rb\n\n" +
		"Gem::Specification.new do |s|\n  s.name = \"" + name + "\".freeze\n  s.version = \"" + version + "\"\n" +
		"  s.executables = [" + executables + "]\n  s.files = [\"README.md\".freeze]\nend\n"
}

func TestGems(t *testing.T) {
	r := placestest.New(t)
	spec := func(home, full, text string) { r.File(home+"/specifications/"+full+".gemspec", text) }
	spec(home, "nokogiri-1.15.0-x86_64-linux", specification("nokogiri", "1.15.0", "x86_64-linux", `"nokogiri".freeze, "../../bin/sh".freeze, "gone"`))
	spec(home, "foo-2-bar-1.0", specification("foo-2-bar", "1.0", "ruby", ""))
	spec(home, "nokogiri-1.14.0", specification("nokogiri", "1.14.0", "ruby", `"nokogiri".freeze`))
	spec(home, "default/json-2.6", "")
	for _, path := range []string{
		"gems/nokogiri-1.15.0-x86_64-linux/lib/a.rb", "gems/nokogiri-1.14.0/lib/a.rb", "gems/foo-2-bar-1.0/a", "gems/stray-1/a", "gems/json-2.6/exe/x",
		"extensions/x86_64-linux/3.2.0/nokogiri-1.14.0/gem.build_complete", "extensions/x86_64-linux/3.1.0/nokogiri-1.14.0/a.so",
		"extensions/x86_64-linux/stray", "doc/foo-2-bar-1.0/ri/x", "cache/foo-2-bar-1.0.gem", "build_info/foo-2-bar-1.0.info", "bin/nokogiri", "bin/other",
		"bundler/gems/my-gem-0123456789ab/lib/x.rb", "bundler/gems/my-gem-0123456789ab/my-gem.gemspec", "bundler/gems/extensions/x",
	} {
		r.File(home+"/"+path, "")
	}
	r.Mkdir(home+"/gems/foo-2-bar-1.0/empty").File("/bin/sh", "")
	spec("/var/lib/gems/3.1.0", "foo-2-bar-1.0", specification("foo-2-bar", "1.0", "ruby", ""))
	spec("/usr/share/rubygems", "foo-2-bar-1.0", specification("foo-2-bar", "1.0", "ruby", ""))
	r.Own("dpkg/ruby-foo", "/usr/share/rubygems/specifications/foo-2-bar-1.0.gemspec")
	a := r.Assign(Repo{})
	a.WantWarnings()
	for path, want := range map[string]string{
		"gems/nokogiri-1.15.0-x86_64-linux/lib/a.rb":                       "ruby/nokogiri",
		"gems/nokogiri-1.14.0/lib/a.rb":                                    "ruby/nokogiri",
		"specifications/nokogiri-1.14.0.gemspec":                           "ruby/nokogiri",
		"extensions/x86_64-linux/3.2.0/nokogiri-1.14.0/gem.build_complete": "ruby/nokogiri",
		"extensions/x86_64-linux/3.1.0/nokogiri-1.14.0/a.so":               "ruby/nokogiri",
		"bin/nokogiri":                                    "ruby/nokogiri",
		"bin/other":                                       "chunkah/unclaimed/usr/local/bundle",
		"gems/stray-1/a":                                  "chunkah/unclaimed/usr/local/bundle",
		"gems/json-2.6/exe/x":                             "chunkah/unclaimed/usr/local/bundle",
		"extensions/x86_64-linux/stray":                   "chunkah/unclaimed/usr/local/bundle",
		"gems/foo-2-bar-1.0/a":                            "ruby/foo-2-bar",
		"gems/foo-2-bar-1.0/empty":                        "ruby/foo-2-bar",
		"doc/foo-2-bar-1.0/ri/x":                          "ruby/foo-2-bar",
		"cache/foo-2-bar-1.0.gem":                         "ruby/foo-2-bar",
		"build_info/foo-2-bar-1.0.info":                   "ruby/foo-2-bar",
		"bundler/gems/my-gem-0123456789ab/lib/x.rb":       "ruby/my-gem",
		"bundler/gems/my-gem-0123456789ab/my-gem.gemspec": "ruby/my-gem",
		"bundler/gems/extensions/x":                       "chunkah/unclaimed/usr/local/bundle",
	} {
		a.Want(home+"/"+path, want)
	}
	a.Want("/bin/sh", "chunkah/unclaimed", "/var/lib/gems/3.1.0/specifications/foo-2-bar-1.0.gemspec", "ruby/foo-2-bar@/var/lib/gems/3.1.0")
}

func TestDamagedSpecifications(t *testing.T) {
	r := placestest.New(t).File(home+"/specifications/no-stub-1.0.gemspec", "").File(home+"/specifications/liar-1.0.gemspec", specification("other", "1", "ruby", "")).
		Sparse(home+"/specifications/huge-2.gemspec", maxSpec+1).File(home+"/specifications/.gemspec", "").Mkdir(home + "/specifications/dir-1.gemspec")
	a := r.Assign(Repo{})
	a.WantWarnings(
		`ruby: gem "huge-2": reading "`+home+`/specifications/huge-2.gemspec": the file is larger`,
		`gem "liar-1.0"|specifies the name "other"`,
	)
	a.Want(
		home+"/specifications/no-stub-1.0.gemspec", "ruby/no-stub",
		home+"/specifications/liar-1.0.gemspec", "ruby/liar",
		home+"/specifications/huge-2.gemspec", "ruby/huge",
	)
}

func TestNothingHere(t *testing.T) {
	if result, err := (Repo{}).Load(t.Context(), placestest.New(t).File("/app/x.gemspec", "").Tree()); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestNames(t *testing.T) {
	for full, want := range map[string]string{"rake-13.0.6": "rake", "net-http-1": "net-http", "x": "x", "-1": "-1", "a-": "a-", "nokogiri-1.15.0-x86_64-linux": "nokogiri"} {
		if got := nameOf(full); got != want {
			t.Errorf("%q: %q, want %q", full, got, want)
		}
	}
}

func FuzzSpecification(f *testing.F) {
	f.Add(specification("a", "1", "ruby", `"x".freeze, "y"`), "/h/specifications/a-1.gemspec")
	f.Add("# stub: \n  s.executables = [\"", "/bundler/gems/x-0123456789/y")
	f.Fuzz(func(t *testing.T, text, path string) {
		bound.Input(t, len(text)+len(path))
		s := parse(text)
		for _, name := range append(s.executables, s.name) {
			if name != "" && !isName(name) {
				t.Errorf("got %q", name)
			}
		}
		if len(s.executables) > maxExecutables {
			t.Errorf("%d executables", len(s.executables))
		}
		if path == "" || path[0] != '/' {
			return
		}
		_, _, _ = gemspec(path)
		if dir, home, name, found := checkout(path); found && (dir == "" || home == "" || name == "") {
			t.Errorf("%q gave %q, %q, %q", path, dir, home, name)
		}
		_ = nameOf(path)
	})
}
