package kubeapi_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
	"github.com/etcdsec/etcdsec/internal/kubetest"
)

// site is an API server that takes tokens, certificates and OIDC, with a login program.
type site struct {
	*kubetest.Cluster
	oidc  *issuer
	login string // the program
	ran   string // the file with a line for each run of it
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{oidc: newIssuer(t), login: filepath.Join(t.TempDir(), "login"), ran: filepath.Join(t.TempDir(), "ran")}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", s.login, "./testdata/login").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.Cluster = kubetest.Start(t, kubetest.Config{Servers: 2, Flags: []string{
		"--oidc-issuer-url=" + s.oidc.server.URL, "--oidc-client-id=etcdsec", "--oidc-ca-file=" + s.oidc.ca, "--oidc-username-claim=sub", "--oidc-username-prefix=oidc:",
	}})
	return s
}

// open opens a kubeconfig whose user has some keys.
func (s *site) open(t *testing.T, user string) (*kubeapi.Client, string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: me}}]
clusters: [{name: test, cluster: {server: "https://%s", certificate-authority: %q}}]
users:
- name: me
  user: {%s}
`, s.Servers[0].Address, s.User(t, "any").CA, user), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := kubeapi.Open(kubeapi.Config{Path: path, Timeout: 2 * time.Minute, Supervisor: supervisor()})
	return c, path, err
}

// plugin returns the keys of a user that logs in with the program.
func (s *site) plugin(args ...string) string {
	quoted, _ := json.Marshal(append([]string{args[0], s.ran}, args[1:]...)) // strings cannot fail
	return fmt.Sprintf(`exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, command: %q, args: %s, env: [{name: LOGIN_TOKEN, value: %s}]}`, s.login, quoted, kubetest.Token)
}

func (s *site) runs(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile(s.ran)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	_ = os.Remove(s.ran)
	return strings.Count(string(data), "ExecCredential")
}

// whoAmI asks the API server for the name of the user.
func whoAmI(ctx context.Context, c *kubeapi.Client) (string, error) {
	var review struct {
		Status struct{ UserInfo struct{ Username string } }
	}
	err := c.Send(ctx, http.MethodPost, "/apis/authentication.k8s.io/v1/selfsubjectreviews", "application/json",
		[]byte(`{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}`), &review)
	return review.Status.UserInfo.Username, err
}

// Every way to log in works on a real API server, and its faults are told without a secret.
func TestLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	alice := s.User(t, "alice")
	for name, c := range map[string]struct{ user, want string }{
		"token":               {"token: " + kubetest.Token, "admin"},
		"certificate":         {fmt.Sprintf("client-certificate: %q, client-key: %q", alice.Cert, alice.Key), "alice"},
		"plugin, token":       {s.plugin("token"), "admin"},
		"plugin, certificate": {s.plugin("certificate", alice.Cert, alice.Key), "alice"},
	} {
		client, _, err := s.open(t, c.user)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := whoAmI(t.Context(), client); err != nil || got != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}

	t.Run("token in a file beside the kubeconfig", func(t *testing.T) {
		_, path, err := s.open(t, "tokenFile: ./token")
		if err == nil {
			t.Fatal("a file that is not there is accepted")
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "token"), []byte(kubetest.Token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		client, err := kubeapi.Open(kubeapi.Config{Path: path, Timeout: time.Minute, Supervisor: supervisor()})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := whoAmI(t.Context(), client); err != nil || got != "admin" {
			t.Errorf("%q, %v", got, err)
		}
	})

	t.Run("one login for all servers", func(t *testing.T) {
		client, _, err := s.open(t, strings.Replace(s.plugin("token"), "interactiveMode", "provideClusterInfo: true, interactiveMode", 1))
		if err != nil {
			t.Fatal(err)
		}
		s.runs(t)
		for _, server := range s.Servers {
			at, err := client.At(server.Address)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := whoAmI(t.Context(), at); err != nil || got != "admin" {
				t.Errorf("%s: %q, %v", server.Address, got, err)
			}
		}
		if n := s.runs(t); n != 1 {
			t.Errorf("the program ran %d times", n)
		}
	})

	t.Run("refused", func(t *testing.T) {
		for name, user := range map[string]string{"wrong token": "token: wrong", "wrong token of a plugin": strings.Replace(s.plugin("token"), kubetest.Token, "wrong", 1)} {
			client, _, err := s.open(t, user)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := whoAmI(t.Context(), client); !apierrors.IsUnauthorized(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		client, _, err := s.open(t, fmt.Sprintf("client-certificate: %q, client-key: %q", alice.Cert, alice.Key))
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Get(t.Context(), "/api/v1/secrets", nil, "", new(any)); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `alice`) {
			t.Errorf("alice lists Secrets: %v", err)
		}
		if err := client.Get(t.Context(), "/api/v1/namespaces/default/nothing", nil, "", new(any)); !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
			t.Errorf("nothing: %v", err)
		}
	})

	t.Run("the program fails", func(t *testing.T) {
		for how, want := range map[string]string{"fail": "exit status 3", "garbage": "decoding", "nothing": "didn't return a token"} {
			client, _, err := s.open(t, s.plugin(how))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := whoAmI(t.Context(), client); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), kubetest.Token) {
				t.Errorf("%s: %v", how, err)
			}
		}
		client, _, err := s.open(t, s.plugin("hang"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := whoAmI(ctx, client); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hang: %v", err)
		}
	})

	t.Run("OIDC", func(t *testing.T) { s.testOIDC(t) })
}

// An ID token is taken as it is, and one that expired is refreshed and written back to the
// kubeconfig.
func (s *site) testOIDC(t *testing.T) {
	// client-go keeps one login for each client of an issuer.
	provider := func(client, more string) string {
		return fmt.Sprintf("auth-provider: {name: oidc, config: {idp-issuer-url: %q, client-id: %s, idp-certificate-authority: %q, %s}}", s.oidc.server.URL, client, s.oidc.ca, more)
	}
	valid := s.oidc.token(t, "bob", time.Now().Add(time.Hour))
	client, _, err := s.open(t, provider("etcdsec", "id-token: "+valid))
	if err != nil {
		t.Fatal(err)
	}
	// The API server learns the keys of the issuer after its start.
	deadline := time.Now().Add(time.Minute)
	for {
		got, err := whoAmI(t.Context(), client)
		if err == nil && got == "oidc:bob" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("ID token: %q, %v", got, err)
		}
		time.Sleep(200 * time.Millisecond)
	}

	client, path, err := s.open(t, provider("another", "refresh-token: good-refresh, id-token: "+s.oidc.token(t, "carol", time.Now().Add(-time.Hour))))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := whoAmI(t.Context(), client); err != nil || got != "oidc:carol" {
		t.Errorf("refresh: %q, %v", got, err)
	}
	if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), "next-refresh") {
		t.Errorf("the next refresh token is not kept: %v", err)
	}
}

// A refresh token that the issuer refuses is an error, which does not hold it.
func TestOIDCRefused(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	client := openServer(t, fmt.Sprintf("auth-provider: {name: oidc, config: {idp-issuer-url: %q, client-id: etcdsec, idp-certificate-authority: %q, refresh-token: BAD-REFRESH}}", issuer.server.URL, issuer.ca), time.Minute, answer(http.StatusOK, "{}"))
	if err := client.Get(t.Context(), "/api", nil, "", new(any)); err == nil || !strings.Contains(err.Error(), "invalid_grant") || strings.Contains(err.Error(), "BAD-REFRESH") {
		t.Errorf("got %v", err)
	}
}

// issuer is an OpenID Connect provider.
type issuer struct {
	server *httptest.Server
	ca     string
	key    *rsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, ca: filepath.Join(t.TempDir(), "issuer.crt")}
	mux := http.NewServeMux()
	i.server = httptest.NewTLSServer(mux)
	t.Cleanup(i.server.Close)
	reply := func(w http.ResponseWriter, value any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(value)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{
			"issuer": i.server.URL, "jwks_uri": i.server.URL + "/keys", "token_endpoint": i.server.URL + "/token", "authorization_endpoint": i.server.URL + "/auth",
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString([]byte{1, 0, 1}),
		}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("refresh_token") != "good-refresh" {
			w.WriteHeader(http.StatusBadRequest)
			reply(w, map[string]any{"error": "invalid_grant"})
			return
		}
		reply(w, map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "next-refresh", "id_token": i.token(t, "carol", time.Now().Add(time.Hour))})
	})
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw})
	if err := os.WriteFile(i.ca, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

// token returns a signed ID token (RFC 7519).
func (i *issuer) token(t *testing.T, subject string, expires time.Time) string {
	encode := func(value any) string {
		data, err := json.Marshal(value)
		if err != nil {
			t.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	signed := encode(map[string]any{"alg": "RS256", "kid": "k", "typ": "JWT"}) + "." +
		encode(map[string]any{"iss": i.server.URL, "aud": "etcdsec", "sub": subject, "iat": time.Now().Add(-time.Minute).Unix(), "exp": expires.Unix()})
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}
