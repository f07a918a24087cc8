package kubeapi

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// minimal returns a kubeconfig with a server, a token and whatever else is put in the places.
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
	plugin := func(command, more string) string {
		return "exec: {apiVersion: client.authentication.k8s.io/v1, command: \"" + command + "\"" + more + "}"
	}
	for name, c := range map[string]struct{ config, context, want string }{
		"not YAML":            {"{", "", "not the YAML of a kubeconfig"},
		"empty":               {"", "", "no current-context"},
		"no such context":     {minimal(server, "token: t"), "other", `no context "other"`},
		"no such user":        {strings.Replace(minimal(server, "token: t"), "user: me}", "user: you}", 1), "", `no user "you"`},
		"no such cluster":     {strings.Replace(minimal(server, "token: t"), "cluster: here,", "cluster: there,", 1), "", `no cluster "there"`},
		"plaintext":           {minimal(`server: "http://192.0.2.1:8080"`, "token: t"), "", "not sent in plaintext"},
		"no server":           {minimal("", "token: t"), "", "not a URL"},
		"nobody verifies":     {minimal(server+", insecure-skip-tls-verify: true", "token: t"), "", "insecure-skip-tls-verify"},
		"through a proxy":     {minimal(server+`, proxy-url: "http://192.0.2.9"`, "token: t"), "", "proxy-url"},
		"no plugin":           {minimal(server, plugin("no-such-login", ", interactiveMode: Never")), "", `"no-such-login": executable file not found`},
		"no plugin's file":    {minimal(server, plugin("./no-such-login", ", interactiveMode: Never")), "", "no-such-login: no such file"},
		"plugin without mode": {minimal(server, plugin("true", "")), "", "exec.interactiveMode is missing: it is one of Never"},
		"plugin of old":       {minimal(server, `exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: "true", interactiveMode: Never}`), "", `exec.apiVersion is "client.authentication.k8s.io/v1alpha1"`},
		"cloud of old":        {minimal(server, "auth-provider: {name: gcp}"), "", "no longer has"},
		"OIDC without issuer": {minimal(server, "auth-provider: {name: oidc}"), "", `kubeconfig: the user "me": auth-provider.config.idp-issuer-url is missing: kubectl config set-credentials`},
		"OIDC without client": {minimal(server, `auth-provider: {name: oidc, config: {idp-issuer-url: "https://192.0.2.2", id-token: x}}`), "", "auth-provider.config.client-id is missing"},
		"OIDC without token":  {minimal(server, `auth-provider: {name: oidc, config: {idp-issuer-url: "https://192.0.2.2", client-id: x}}`), "", "neither id-token nor refresh-token"},
		"OIDC, odd CA":        {minimal(server, `auth-provider: {name: oidc, config: {idp-issuer-url: "https://192.0.2.2", client-id: x, id-token: x, idp-certificate-authority-data: "%"}}`), "", "idp-certificate-authority-data is not base64"},
		"OIDC, no CA":         {minimal(server, `auth-provider: {name: oidc, config: {idp-issuer-url: "https://192.0.2.2", client-id: x, id-token: x, idp-certificate-authority: no.crt}}`), "", "idp-certificate-authority: no.crt is not there"},
		"two ways":            {minimal(server, `auth-provider: {name: oidc}, exec: {apiVersion: client.authentication.k8s.io/v1, command: "true", interactiveMode: Never}`), "", "both exec and auth-provider"},
		"hint for a plugin":   {minimal(server, plugin("no-such-login", `, interactiveMode: Never, installHint: "get it\nat once"`)), "", `hint is "get it at once"`},
		"plugin without name": {minimal(server, plugin("", ", interactiveMode: Never")), "", "exec.command is missing"},
		"password":            {minimal(server, "username: a, password: b"), "", "password"},
		"CA is not PEM":       {minimal(server+", certificate-authority-data: aGVsbG8=", "token: t"), "", "no PEM certificate"},
		"CA is not base64":    {minimal(server+`, certificate-authority-data: "%"`, "token: t"), "", "not base64"},
		"CA is not there":     {minimal(server+", certificate-authority: no.crt", "token: t"), "", "no.crt is not there"},
		"key without a use":   {minimal(server, "client-certificate-data: aGVsbG8=, client-key-data: aGVsbG8="), "", "not a pair"},
		"token not there":     {minimal(server, "tokenFile: no.token"), "", "no.token is not there"},
		"token of a device":   {minimal(server, "tokenFile: /dev/zero"), "", "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kubeconfig")
			if err := os.WriteFile(path, []byte(c.config), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(Config{Path: path, Context: c.context, Timeout: time.Second, Supervisor: []string{"true"}}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Open(Config{Path: filepath.Join(t.TempDir(), "none"), Timeout: time.Second}); err == nil {
		t.Error("a file that is not there is accepted")
	}
}

// Whoever may write a kubeconfig chooses the program that it logs in with, so that nobody else
// may. A token in such a file is another matter: it is not run.
func TestPluginOfAFileThatOthersWrite(t *testing.T) {
	t.Parallel()
	const server = `server: "https://192.0.2.1:6443"`
	path := filepath.Join(t.TempDir(), "kubeconfig")
	write := func(user string, mode os.FileMode) error {
		if err := os.WriteFile(path, []byte(minimal(server, user)), mode); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	}
	const plugin = `exec: {apiVersion: client.authentication.k8s.io/v1, command: "true", interactiveMode: Never}`
	for name, c := range map[string]struct {
		user    string
		mode    os.FileMode
		refused bool
	}{
		"plugin, own file":     {plugin, 0o600, false},
		"plugin, all may read": {plugin, 0o644, false},
		"plugin, group writes": {plugin, 0o660, true},
		"plugin, others write": {plugin, 0o602, true},
		"token, others write":  {"token: t", 0o666, false},
	} {
		if err := write(c.user, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := Open(Config{Path: path, Timeout: time.Second, Supervisor: []string{"true"}})
		if refused := err != nil; refused != c.refused || refused && !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("%s: got %v, want refused %t", name, err, c.refused)
		}
	}
	if os.Geteuid() == 0 {
		if err := write(plugin, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 65534, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Path: path, Timeout: time.Second, Supervisor: []string{"true"}}); err == nil || !strings.Contains(err.Error(), "belongs to somebody else") {
			t.Errorf("another's file: %v", err)
		}
	}
}

// A client for another server keeps the credentials, the path and the name of the certificate.
func TestAt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(minimal(`server: "https://192.0.2.1/k8s/clusters/c", tls-server-name: kubernetes`, "token: t")), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Open(Config{Path: path, Timeout: time.Second, Supervisor: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	at, err := c.At("192.0.2.2:6443")
	if err != nil {
		t.Fatal(err)
	}
	if c.Host() != "192.0.2.1:443" || at.Host() != "192.0.2.2:6443" {
		t.Errorf("hosts are %s and %s", c.Host(), at.Host())
	}
	if got := at.request("GET", "/api/v1/nodes", nil, "").URL().String(); got != "https://192.0.2.2:6443/k8s/clusters/c/api/v1/nodes" {
		t.Errorf("asks %s", got)
	}
	if at.http != c.http || at.config.ServerName != "kubernetes" {
		t.Error("credentials or the server's name are not shared")
	}
	if _, err := c.At("a b"); err == nil {
		t.Error("an address with a space is accepted")
	}
}

// No error holds a secret, whatever is wrong with the file.
func FuzzKubeconfig(f *testing.F) {
	const secret = "SECRETSECRET"
	seeds := []string{
		minimal(`server: "https://192.0.2.1:6443"`, "token: "+secret), minimal("server: "+secret, "token: "+secret),
		"token: [" + secret, minimal("", "client-key-data: "+secret), "{{" + secret,
		minimal(`server: "https://192.0.2.1:6443"`, "auth-provider: {name: oidc, config: {id-token: "+secret+"}}"),
		minimal(`server: "https://192.0.2.1:6443"`, "exec: {command: x, env: [{name: TOKEN, value: "+secret+"}]}"),
		minimal(`server: "https://192.0.2.1:6443"`, "token: "+secret+", tokenFile: x, client-key: y, client-key-data: "+secret),
	}
	if len(seeds) == 0 {
		f.Fatal("no seed")
	}
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := parse(data, Config{Path: path, Timeout: time.Second, Supervisor: []string{"true"}})
		if err == nil {
			return
		}
		config, loadErr := clientcmd.Load(data)
		if loadErr != nil {
			return
		}
		for _, u := range config.AuthInfos {
			kept := []string{u.Token, string(u.ClientKeyData), u.Password}
			if u.AuthProvider != nil {
				for _, value := range u.AuthProvider.Config {
					kept = append(kept, value)
				}
			}
			if u.Exec != nil {
				for _, variable := range u.Exec.Env {
					kept = append(kept, variable.Value)
				}
			}
			for _, secret := range kept {
				if len(secret) > 8 && strings.Contains(fmt.Sprint(err), secret) {
					t.Errorf("%v", err)
				}
			}
		}
	})
}
