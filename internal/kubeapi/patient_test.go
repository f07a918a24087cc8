package kubeapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

// scriptPlugin returns the keys of a user that logs in with a shell script.
func scriptPlugin(script string, args ...string) string {
	quoted, _ := json.Marshal(append([]string{"-c", script, "sh"}, args...)) // strings cannot fail
	return fmt.Sprintf(`exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/sh, args: %s}`, quoted)
}

const printToken = `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t"}}'`

// A login that lasts is told once, with who waits for whom until when, however many requests
// wait for it; one that is quick is not.
func TestSlowLoginIsTold(t *testing.T) {
	t.Parallel()
	told := filepath.Join(t.TempDir(), "told")
	var waiting []kubeapi.Waiting
	var mu sync.Mutex
	config := kubeapi.Config{Timeout: time.Minute, Notify: func(w kubeapi.Waiting) {
		mu.Lock()
		defer mu.Unlock()
		waiting = append(waiting, w)
		if err := os.WriteFile(told, nil, 0o600); err != nil {
			t.Error(err)
		}
	}}
	started := time.Now()
	client := openServerAs(t, scriptPlugin(`while ! [ -e "$1" ]; do sleep 0.01; done; `+printToken, told), config, answer(http.StatusOK, "{}"))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := client.Get(t.Context(), "/api", nil, "", new(any)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(waiting) != 1 {
		t.Fatalf("told %v", waiting)
	}
	w := waiting[0]
	if w.User != "me" || w.Way != "/bin/sh" || filepath.Base(w.Kubeconfig) != "kubeconfig" || w.Until.Before(started.Add(4*time.Minute)) || w.Until.After(time.Now().Add(5*time.Minute)) {
		t.Errorf("told %+v", w)
	}
}

// A login that the server refuses is made anew, and that wait is told and bounded as the first
// one. It ends with its request, and the error names what logs in.
func TestLoginEnds(t *testing.T) {
	t.Parallel()
	ran, again := filepath.Join(t.TempDir(), "ran"), filepath.Join(t.TempDir(), "again")
	var asked atomic.Int32
	told := make(chan struct{}, 1)
	config := kubeapi.Config{Timeout: time.Minute, Notify: func(kubeapi.Waiting) { told <- struct{}{} }}
	client := openServerAs(t, scriptPlugin(`if [ -e "$1" ]; then : > "$2"; exec sleep 3600; fi; : > "$1"; `+printToken, ran, again), config, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		answer(http.StatusUnauthorized, "{}")(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		<-told
		// On a busy machine the first login is slow enough to be told.
		for ctx.Err() == nil {
			if _, err := os.Stat(again); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	err := client.Get(ctx, "/api", nil, "", new(any))
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `logging in as the user "me" of the kubeconfig /`) || !strings.Contains(err.Error(), "with /bin/sh: ") {
		t.Errorf("got %v", err)
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}
