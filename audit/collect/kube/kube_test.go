package kube

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// minimal is a kubeconfig with a server, a token and whatever else is put in the places.
func minimal(clusterKeys, userKeys string) string {
	return `apiVersion: v1
kind: Config
current-context: admin
contexts: [{name: admin, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {` + clusterKeys + `}}]
users: [{name: me, user: {` + userKeys + `}}]
`
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const server = `server: "https://192.0.2.1:6443"`
	for name, c := range map[string]struct{ config, context, want string }{
		"not YAML":          {"{", "", "not the YAML of a kubeconfig"},
		"empty":             {"", "", "no current-context"},
		"no such context":   {minimal(server, "token: t"), "other", `no context "other"`},
		"no such user":      {strings.Replace(minimal(server, "token: t"), "user: me}", "user: you}", 1), "", `no user "you"`},
		"plaintext":         {minimal(`server: "http://192.0.2.1:8080"`, "token: t"), "", "not sent in plaintext"},
		"no server":         {minimal("", "token: t"), "", "not a URL"},
		"nobody verifies":   {minimal(server+", insecure-skip-tls-verify: true", "token: t"), "", "insecure-skip-tls-verify"},
		"through a proxy":   {minimal(server+`, proxy-url: "http://192.0.2.9"`, "token: t"), "", "proxy-url"},
		"exec":              {minimal(server, "exec: {command: aws}"), "", "another program"},
		"auth provider":     {minimal(server, "auth-provider: {name: oidc}"), "", "another program"},
		"password":          {minimal(server, "username: a, password: b"), "", "password"},
		"CA is not PEM":     {minimal(server+", certificate-authority-data: aGVsbG8=", "token: t"), "", "no PEM certificate"},
		"CA is not base64":  {minimal(server+`, certificate-authority-data: "%"`, "token: t"), "", "not base64"},
		"CA is not there":   {minimal(server+", certificate-authority: no.crt", "token: t"), "", "no.crt is not there"},
		"key without a use": {minimal(server, "client-certificate-data: aGVsbG8=, client-key-data: aGVsbG8="), "", "not a pair"},
		"token not there":   {minimal(server, "tokenFile: no.token"), "", "no.token is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kubeconfig")
			if err := os.WriteFile(path, []byte(c.config), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path, c.context, time.Second); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), "", time.Second); err == nil {
		t.Error("a file that is not there is accepted")
	}
}

// secret is in no error, whatever is wrong with the file.
func FuzzKubeconfig(f *testing.F) {
	const secret = "SECRETSECRET"
	seeds := []string{
		minimal(`server: "https://192.0.2.1:6443"`, "token: "+secret), minimal("server: "+secret, "token: "+secret),
		"token: [" + secret, minimal("", "client-key-data: "+secret), "{{" + secret,
	}
	if len(seeds) == 0 {
		f.Fatal("no seed")
	}
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var config kubeconfig
		if yaml.Unmarshal(data, &config) != nil || len(config.Users) == 0 {
			config.Users = nil
		}
		_, err := parse(data, t.TempDir(), "", time.Second)
		if err == nil {
			return
		}
		for _, u := range config.Users {
			for _, kept := range []string{u.User.Token, u.User.KeyData} {
				if len(kept) > 8 && strings.Contains(err.Error(), kept) {
					t.Errorf("%v", err)
				}
			}
		}
	})
}

// clientOf asks a server of the test, as Open's clients do.
func clientOf(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	c, err := parse([]byte(minimal(fmt.Sprintf("server: %q", server.URL), "token: t")), t.TempDir(), "", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.http.Transport = server.Client().Transport
	return c
}

// What a server answers in place of a list: each is an error that names it, or bounded.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "HTTP status 500"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://192.0.2.1/", http.StatusFound)
		}, "HTTP status 302"},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "not JSON"},
		"pages for ever": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"metadata":{"continue":"more"},"items":[]}`))
		}, "more than 100 pages"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := clientOf(t, c.answer).Find(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A list over several pages is read whole, with the token, and odd objects are named.
func TestPages(t *testing.T) {
	t.Parallel()
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		page := map[string]any{"items": []any{}}
		if strings.HasSuffix(r.URL.Path, "/nodes") && r.URL.Query().Get("labelSelector") == controlPlane()[0] {
			name, next := "cp-0", "2"
			if r.URL.Query().Get("continue") == "2" {
				name, next = "cp-1", ""
			}
			page = map[string]any{
				"metadata": map[string]any{"continue": next},
				"items": []any{
					map[string]any{"metadata": map[string]any{"name": name}, "status": map[string]any{"addresses": []any{map[string]any{"type": "InternalIP", "address": "192.0.2.1" + name[3:]}}}},
					map[string]any{"metadata": map[string]any{"name": "odd-" + name}},
				},
			}
		}
		_ = json.NewEncoder(w).Encode(page)
	})
	found, err := c.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, e := range found.Endpoints {
		addresses = append(addresses, e.Address)
	}
	if len(addresses) != 3 || addresses[0] != "192.0.2.10:10250" || addresses[1] != "192.0.2.11:10250" {
		t.Errorf("got %q", addresses)
	}
	if len(found.Unreached) != 2 || found.Unreached[0].Subject != "node odd-cp-0" {
		t.Errorf("got %+v", found.Unreached)
	}
}
