package kubeapi

import (
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
