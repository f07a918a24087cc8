package main

import (
	"time"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

// openKubeconfig opens a kubeconfig, whose program logs in under the supervision of this one.
func (a *app) openKubeconfig(path, context string, timeout time.Duration) (*kubeapi.Client, error) {
	return kubeapi.Open(kubeapi.Config{
		Path: path, Context: context, Timeout: timeout, Files: a.files,
		Supervisor: supervisor(),
		Notify: func(w kubeapi.Waiting) {
			a.narrate("waiting until %s for the login of the user %q of %s with %s", w.Until.Format(time.TimeOnly), w.User, w.Kubeconfig, w.Way)
		},
	})
}
