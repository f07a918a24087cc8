package main

import (
	"time"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
	"github.com/etcdsec/etcdsec/internal/leash"
)

// openKubeconfig opens a kubeconfig, whose program logs in under the supervision of this one.
func (a *app) openKubeconfig(path, context string, timeout time.Duration) (*kubeapi.Client, error) {
	return kubeapi.Open(kubeapi.Config{
		Path: path, Context: context, Timeout: timeout,
		// The file that runs now, even if another was put in its place.
		Supervisor: []string{"/proc/self/exe", leash.Argument},
		Notify: func(w kubeapi.Waiting) {
			a.narrate("waiting until %s for the login of the user %q of %s with %s", w.Until.Format(time.TimeOnly), w.User, w.Kubeconfig, w.Way)
		},
	})
}
