package registry

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Queries of URLs can contain signatures. No message shows them, wherever the server puts such
// URLs.
func TestSignaturesAreNotShown(t *testing.T) {
	signed := "https://127.0.0.1:1/x?X-Signature=" + secretUpload
	words := func(code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q", signed))
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":"see %s&more=%s for it"}]}`, signed, secretUpload)
		}
	}
	loop := func(w http.ResponseWriter, r *http.Request) {
		early(http.StatusTemporaryRedirect, "Location", r.URL.Path+"?again="+secretUpload)(w, r)
	}
	to := func(location string) func(http.ResponseWriter, *http.Request) {
		return early(http.StatusTemporaryRedirect, "Location", location)
	}
	kinds := []string{"GET ping", "GET tag", "GET blob", "HEAD blob", "POST upload", "PUT blob", "HEAD tag", "PUT tag"}
	for name, do := range map[string]func(http.ResponseWriter, *http.Request){
		"a redirect that is no URL":         to("https://storage.example/%zz?X-Signature=" + secretUpload),
		"a redirect with a wrong port":      to("https://storage.example:x" + secretUpload + "/?X-Signature=" + secretUpload),
		"a redirect without a host":         to("https:///x?X-Signature=" + secretUpload),
		"a redirect with another scheme":    to("ftp://storage.example/x?X-Signature=" + secretUpload),
		"a redirect to plain HTTP":          to("http://storage.example/x?X-Signature=" + secretUpload),
		"a redirect that drops the request": early(http.StatusFound, "Location", "/x?X-Signature="+secretUpload),
		"a redirect loop":                   loop,
		"a redirect to nothing":             to("http://127.0.0.1:1/x?X-Signature=" + secretUpload),
		"an upload to nowhere":              early(http.StatusAccepted, "Location", "http://127.0.0.1:1/x?X-Signature="+secretUpload),
		"an upload to what is no URL":       early(http.StatusAccepted, "Location", "http://[::1?X-Signature="+secretUpload),
		"a refusal":                         words(http.StatusForbidden),
		"a login elsewhere":                 words(http.StatusUnauthorized),
		"a passing refusal":                 words(http.StatusServiceUnavailable),
	} {
		for _, kind := range kinds {
			t.Run(name+": "+kind, func(t *testing.T) {
				s := newServer(t)
				s.with(times(always, kind, do))
				repo, clock := s.open(t, "team/app:1")
				blob := []byte("blob")
				_, _, manifest := repo.Manifest(t.Context(), "1")
				_, read := readBlob(t.Context(), repo, blob)
				said := fmt.Sprint(manifest, read, newImage(t, blob).push(t.Context(), repo), clock.warns)
				if strings.Contains(said, secretUpload) {
					t.Errorf("the message is %s", said)
				}
			})
		}
	}
}
