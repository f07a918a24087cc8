package kubeapi_test

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

// openServer opens a kubeconfig for a server of the test, with a timeout of each request.
func openServer(t *testing.T, user string, timeout time.Duration, handler http.HandlerFunc) *kubeapi.Client {
	t.Helper()
	return openServerAs(t, user, kubeapi.Config{Timeout: timeout}, handler)
}

func openServerAs(t *testing.T, user string, config kubeapi.Config, handler http.HandlerFunc) *kubeapi.Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: admin
contexts: [{name: admin, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: me, user: {%s}}]
`, server.URL, base64.StdEncoding.EncodeToString(ca), user), 0o600); err != nil {
		t.Fatal(err)
	}
	config.Path, config.Supervisor = path, supervisor()
	c, err := kubeapi.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer makes a handler of an answer in JSON.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// A server that means harm gets no more than a bounded time and memory, and each of its
// answers is an error.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	const podList = `{"kind":"PodList","apiVersion":"v1",`
	endless := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"endless answer": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(endless))
			}
		}, "more than 64 MiB"},
		"endless refusal": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(endless))
			}
		}, "more than 64 MiB"},
		"large pages without end": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(podList + `"metadata":{"continue":"x"},"items":[{"metadata":{"name":"` + endless + `"}}]}`))
		}, "more than 64 MiB"},
		"small pages without end": {answer(http.StatusOK, podList+`"metadata":{"continue":"x"},"items":[]}`), "more than 100 pages"},
		"more than asked for":     {answer(http.StatusOK, podList+`"items":[`+strings.Repeat("{},", 250)+`{}]}`), "251 objects"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://192.0.2.1/", http.StatusTemporaryRedirect)
		}, "HTTP status 307"},
		"another kind":   {answer(http.StatusOK, `{"kind":"NodeList","apiVersion":"v1","items":[]}`), "not JSON of a v1.PodList"},
		"an odd object":  {answer(http.StatusOK, podList+`"items":[{"metadata":7}]}`), "not JSON of a v1.PodList"},
		"a success":      {answer(http.StatusOK, `{"kind":"Status","apiVersion":"v1","status":"Success"}`), "not JSON of a v1.PodList"},
		"a long message": {answer(http.StatusForbidden, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":403,"reason":"Forbidden","message":"`+"\\u001b"+endless+`"}`), `403: "\x1bxxx`},
		"small pages of gzip that become large": {func(w http.ResponseWriter, r *http.Request) {
			if accepted := r.Header.Get("Accept-Encoding"); strings.Contains(accepted, "gzip") {
				t.Errorf("the client accepts %s", accepted)
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			packed := gzip.NewWriter(w)
			_, _ = packed.Write([]byte(podList + `"metadata":{"continue":"x"},"items":[{"metadata":{"name":"` + endless + `"}}]}`))
			_ = packed.Close()
		}, "not JSON of a v1.PodList"},
		"come back never": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "100000")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "HTTP status 429"},
	} {
		t.Run(name, func(t *testing.T) {
			client := openServer(t, "token: t", time.Minute, c.answer)
			err := kubeapi.List(t.Context(), client, "/api/v1/pods", "", func(*corev1.PodList) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %.300v, want %q", err, c.want)
			}
			if len(err.Error()) > 500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// A server that is silent, or sends a byte now and then, is left after the timeout.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"drips": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(5 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := openServer(t, "token: t", 100*time.Millisecond, handler)
			if _, err := client.Text(t.Context(), "/metrics"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The kinds of errors are those of Kubernetes, through what is added here.
func TestKindsOfErrors(t *testing.T) {
	t.Parallel()
	for status, is := range map[int]func(error) bool{
		http.StatusForbidden: apierrors.IsForbidden, http.StatusNotFound: apierrors.IsNotFound, http.StatusConflict: apierrors.IsConflict,
		http.StatusGone: func(err error) bool { return apierrors.IsGone(err) || apierrors.IsResourceExpired(err) }, http.StatusUnauthorized: apierrors.IsUnauthorized,
	} {
		client := openServer(t, "token: t", time.Minute, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if err := client.Get(t.Context(), "/api", nil, "", new(any)); !is(err) || !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("%d: got %v", status, err)
		}
	}
}

// A proxy of the environment is not asked: each API server is asked at its own address.
func TestNoProxy(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://192.0.2.1:1")
	t.Setenv("https_proxy", "http://192.0.2.1:1")
	client := openServer(t, "token: t", time.Minute, answer(http.StatusOK, "{}"))
	if err := client.Get(t.Context(), "/api", nil, "", new(any)); err != nil {
		t.Error(err)
	}
}

// A token in a file is read, and an overloaded server is asked again when it says so.
func TestTokenFileAndRetry(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	client := openServer(t, "tokenFile: "+token, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case asked.Add(1) == 1:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		case r.Header.Get("Authorization") != "Bearer from-file":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = w.Write([]byte("text"))
		}
	})
	if text, err := client.Text(t.Context(), "/metrics"); err != nil || text != "text" {
		t.Errorf("got %q, %v", text, err)
	}
}
