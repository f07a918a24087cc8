package rotation

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

const migrationGroup = "storagemigration.k8s.io"

// migrationPatience limits how long a StorageVersionMigration may stay without a condition. If the
// controller of kube-controller-manager runs, it sets one within seconds.
const migrationPatience = 30 * time.Second

// migrationLimit limits how long a StorageVersionMigration may run. Its status has no progress: one
// that is stuck looks like one that is slow.
const migrationLimit = time.Hour

// migrationsOf returns the path of StorageVersionMigrations if a known version of them is
// served (v1 since Kubernetes 1.37, v1beta1 since 1.35); empty otherwise.
func migrationsOf(served []collection) string {
	at := slices.IndexFunc(served, func(c collection) bool { return c.name == "storageversionmigrations."+migrationGroup })
	if at < 0 || !slices.Contains([]string{"/apis/" + migrationGroup + "/v1", "/apis/" + migrationGroup + "/v1beta1"}, served[at].base) {
		return ""
	}
	return served[at].path
}

// migration is the part of a StorageVersionMigration (k8s.io/api/storagemigration) that reports
// progress.
type migration struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Status struct {
		Conditions []struct {
			Type    string `json:"type"`
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"conditions"`
	} `json:"status"`
}

// hasCondition reports whether a condition of the migration is true.
func (m migration) hasCondition(condition string) bool {
	for _, c := range m.Status.Conditions {
		if c.Type == condition && c.Status == "True" {
			return true
		}
	}
	return false
}

// migrate lets kube-controller-manager rewrite a collection. done is false if nobody works on
// the migration, if it failed, or if it does not end: the objects must then be rewritten in another
// way. A
// migration that succeeded proves nothing about the key; only the census does.
func (r *Rotation) migrate(ctx context.Context, client *kubeapi.Client, path string, c collection) (done bool, err error) {
	resource, group, _ := strings.Cut(c.name, ".")
	version := strings.TrimPrefix(strings.TrimSuffix(path, "/storageversionmigrations"), "/apis/")
	body, err := json.Marshal(map[string]any{
		"apiVersion": version, "kind": "StorageVersionMigration",
		"metadata": map[string]string{"generateName": "etcdsec-rotation-"},
		"spec":     map[string]any{"resource": map[string]string{"group": group, "resource": resource}},
	})
	if err != nil {
		return false, err
	}
	var m migration
	if err := client.Send(ctx, http.MethodPost, path, "application/json", body, &m); err != nil {
		return false, fmt.Errorf("beginning the migration of %s: %w", c.name, err)
	}
	own := path + "/" + m.Metadata.Name
	defer func() {
		// It has done its work or is not wanted; an interrupt is no reason to leave it.
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = client.Send(ending, http.MethodDelete, own, "", nil, nil)
	}()
	r.narrate("kube-controller-manager rewrites %s: StorageVersionMigration %s", c.name, m.Metadata.Name)
	began := r.Now()
	for {
		m.Status.Conditions = nil // of the last answer
		if err := client.Get(ctx, own, nil, "", &m); err != nil {
			return false, fmt.Errorf("waiting for the migration of %s: %w", c.name, err)
		}
		switch {
		case m.hasCondition("Succeeded"):
			return true, nil
		case m.hasCondition("Failed"):
			r.narrate("the migration of %s failed; this program rewrites its objects", c.name)
			return false, nil
		case r.Now().Sub(began) >= migrationLimit:
			r.narrate("the migration of %s has not ended within %s; this program rewrites its objects", c.name, migrationLimit)
			return false, nil
		case len(m.Status.Conditions) == 0 && r.Now().Sub(began) >= migrationPatience:
			r.narrate("nobody works on the migration of %s; this program rewrites its objects", c.name)
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}
