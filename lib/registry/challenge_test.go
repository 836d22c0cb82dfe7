package registry

import (
	"fmt"
	"maps"
	"net/http"
	"testing"

	"chunkah/tests/bound"
)

func TestParseChallenges(t *testing.T) {
	type params = map[string]string
	for _, test := range []struct {
		values []string
		want   []challenge
	}{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{"Basic"}, []challenge{{"basic", params{}}}},
		{[]string{`Bearer realm="https://a.example/t",service="s",scope="repository:a/b:pull,push"`},
			[]challenge{{"bearer", params{"realm": "https://a.example/t", "service": "s", "scope": "repository:a/b:pull,push"}}}},
		{[]string{`bearer REALM = "x" , Service=s`}, []challenge{{"bearer", params{"realm": "x", "service": "s"}}}},
		{[]string{`Basic realm="x", Bearer realm="y"`}, []challenge{{"basic", params{"realm": "x"}}, {"bearer", params{"realm": "y"}}}},
		{[]string{`Negotiate`, `Basic realm="a \"quoted\" \\ word, with a comma"`},
			[]challenge{{"negotiate", params{}}, {"basic", params{"realm": `a "quoted" \ word, with a comma`}}}},
		{[]string{`Bearer realm=https://a.example/t,service=s`}, []challenge{{"bearer", params{"realm": "https://a.example/t", "service": "s"}}}},
		{[]string{`Bearer realm="x`}, []challenge{{"bearer", params{"realm": "x"}}}},
		{[]string{`Bearer realm="x\`}, []challenge{{"bearer", params{"realm": "x"}}}},
		{[]string{`Digest a=b, Bearer realm=`}, []challenge{{"digest", params{"a": "b"}}, {"bearer", params{"realm": ""}}}},
		{[]string{`=x, Bearer`}, nil},
	} {
		got := parseChallenges(test.values)
		same := len(got) == len(test.want)
		for i := range got {
			same = same && got[i].scheme == test.want[i].scheme && maps.Equal(got[i].params, test.want[i].params)
		}
		if !same {
			t.Errorf("%q is read as %v, want %v", test.values, got, test.want)
		}
	}
}

// Token authentication is preferred to a password.
func TestChooseChallenge(t *testing.T) {
	for want, values := range map[string][]string{
		"":                {"Negotiate", "Digest a=b"},
		"basic map[a:1]":  {"Digest a=b", "Basic a=1", "Basic a=2"},
		"bearer map[a:1]": {"Basic a=0", "Bearer a=1", "Bearer a=2"},
		"bearer map[x:a]": {"Negotiate, Basic realm=x, Bearer x=a"},
	} {
		c := chooseChallenge(http.Header{"Www-Authenticate": values})
		got := ""
		if c.scheme != "" {
			got = fmt.Sprint(c.scheme, " ", c.params)
		}
		if got != want {
			t.Errorf("of %q %q is chosen, want %q", values, got, want)
		}
	}
}

// FuzzChallenges checks that any header is parsed completely, and that the result is not larger
// than the header.
func FuzzChallenges(f *testing.F) {
	for _, s := range []string{`Bearer realm="https://a.example/t",service="s"`, `Basic realm="x", Bearer realm=y`, `Negotiate abc==`, `a b="\"`, `,,a,b c`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		bound.Input(t, len(value))
		for _, c := range parseChallenges([]string{value}) {
			if c.scheme == "" || len(c.scheme) > len(value)*2 {
				t.Errorf("%q has the scheme %q", value, c.scheme)
			}
			for name, v := range c.params {
				if name == "" || len(v) > len(value) {
					t.Errorf("%q has %q=%q", value, name, v)
				}
			}
		}
	})
}
