package rotation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

// collection is a resource as the API serves it.
type collection struct {
	name string // as an encryption configuration names it: "secrets", "deployments.apps"
	path string // "/api/v1/secrets"
	// base is the path below which an object's is made: "/api/v1"; plural is "secrets".
	base, plural string
}

const (
	rewritePage = 500
	mergePatch  = "application/merge-patch+json"
)

// rewrite sends an empty change of every object of the resources of the plan, so that an API
// server stores it again with the first key. It skips a write that changes nothing only if the
// object is stored by the first key (k8s.io/apiserver pkg/storage/etcd3/store.go,
// GuaranteedUpdate). The values stay with the API server: only metadata is listed.
func (r *Rotation) rewrite(ctx context.Context, p *Plan) error {
	client := r.Servers[0].Client
	served, err := discover(ctx, client)
	if err != nil {
		return fmt.Errorf("asking which resources there are: %w", err)
	}
	migrations := migrationsOf(served)
	pace := newPace(r.Rate)
	for _, c := range served {
		if !p.Covers(c.name) {
			continue
		}
		if migrations != "" {
			if done, err := r.migrate(ctx, client, migrations, c); err != nil || done {
				if err != nil {
					return err
				}
				continue
			}
			migrations = "" // nobody works on them
		}
		if err := r.touchAll(ctx, client, c, pace); err != nil {
			return err
		}
	}
	return nil
}

// workers is the number of concurrent writes. Each waits for its turn of the pace.
const workers = 8

// touchAll writes every object of a collection without a change.
func (r *Rotation) touchAll(ctx context.Context, client *kubeapi.Client, c collection, pace *pace) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	objects := make(chan metav1.ObjectMeta)
	var done atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for o := range objects {
				if err := touch(ctx, client, c, o); err != nil {
					cancel(err)
					return
				}
				if n := done.Add(1); n%1000 == 0 {
					r.narrate("rewriting %s: %d", c.name, n)
				}
			}
		})
	}
	err := visitObjects(ctx, client, c, func(o metav1.ObjectMeta) error {
		if err := pace.wait(ctx); err != nil {
			return err
		}
		select {
		case objects <- o:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(objects)
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("rewriting %s after %d: %w", c.name, done.Load(), err)
	}
	if done.Load() > 0 {
		r.narrate("rewrote %s: %d", c.name, done.Load())
	}
	return nil
}

// touch writes an object without a change. An object that is gone, or that somebody else
// has just written, needs no rewrite: by then every API server writes with the first key.
func touch(ctx context.Context, client *kubeapi.Client, c collection, o metav1.ObjectMeta) error {
	name := strings.TrimPrefix(o.Namespace+"/"+o.Name, "/")
	path := c.base
	if o.Namespace != "" {
		path += "/namespaces/" + o.Namespace
	}
	path += "/" + c.plural + "/" + o.Name
	// A name with a slash or dots would lead to another object.
	for _, segment := range []string{o.Namespace, o.Name} {
		if faults := content.IsPathSegmentName(segment); len(faults) > 0 {
			return fmt.Errorf("the API server lists an object with the invalid name %q", name)
		}
	}
	change, err := json.Marshal(map[string]any{"metadata": map[string]string{"uid": string(o.UID), "resourceVersion": o.ResourceVersion}})
	if err != nil {
		return err
	}
	err = client.Send(ctx, http.MethodPatch, path, mergePatch, change, nil)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// visitObjects lists a collection page by page. When the list becomes too old to continue, it
// starts again, as kubectl does.
func visitObjects(ctx context.Context, client *kubeapi.Client, c collection, visit func(metav1.ObjectMeta) error) error {
	const restarts = 5
	for range restarts {
		err := kubeapi.ListMetadata(ctx, client, c.path, rewritePage, func(page *metav1.PartialObjectMetadataList) error {
			for _, o := range page.Items {
				if err := visit(o.ObjectMeta); err != nil {
					return err
				}
			}
			return nil
		})
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return err
		}
	}
	return errors.New("the list expires before all its objects are rewritten: allow more objects per second")
}

// discover lists the resources that can be listed and patched, each once, in the version that
// its group prefers. It leaves out what aggregated API servers serve, because they store it
// elsewhere.
func discover(ctx context.Context, client *kubeapi.Client) ([]collection, error) {
	var groups struct {
		Groups []struct {
			Name      string `json:"name"`
			Preferred struct {
				GroupVersion string `json:"groupVersion"`
			} `json:"preferredVersion"`
			Versions []struct {
				GroupVersion string `json:"groupVersion"`
			} `json:"versions"`
		} `json:"groups"`
	}
	if err := client.Get(ctx, "/apis", nil, "", &groups); err != nil {
		return nil, err
	}
	remote, err := aggregatedVersions(ctx, client)
	if err != nil {
		return nil, err
	}
	all, err := resourcesOf(ctx, client, "/api/v1", "")
	if err != nil {
		return nil, err
	}
	for _, g := range groups.Groups {
		// A resource may be in another version than the preferred one alone.
		versions := []string{g.Preferred.GroupVersion}
		for _, v := range g.Versions {
			if !slices.Contains(versions, v.GroupVersion) {
				versions = append(versions, v.GroupVersion)
			}
		}
		for _, v := range versions {
			if slices.Contains(remote, v) {
				continue
			}
			found, err := resourcesOf(ctx, client, "/apis/"+v, g.Name)
			if err != nil {
				return nil, err
			}
			for _, c := range found {
				if !slices.ContainsFunc(all, func(known collection) bool { return known.name == c.name }) {
					all = append(all, c)
				}
			}
		}
	}
	return all, nil
}

// aggregatedVersions returns the versions, as "group/version", that another server than this
// one serves.
func aggregatedVersions(ctx context.Context, client *kubeapi.Client) ([]string, error) {
	// Its type is not in k8s.io/api. There are as many as versions of groups.
	var list struct {
		Items []struct {
			Spec struct {
				Group   string          `json:"group"`
				Version string          `json:"version"`
				Service json.RawMessage `json:"service"`
			} `json:"spec"`
		} `json:"items"`
	}
	if err := client.Get(ctx, "/apis/apiregistration.k8s.io/v1/apiservices", nil, "", &list); err != nil {
		return nil, err
	}
	var remote []string
	for _, service := range list.Items {
		if len(service.Spec.Service) > 0 && string(service.Spec.Service) != "null" {
			remote = append(remote, service.Spec.Group+"/"+service.Spec.Version)
		}
	}
	return remote, nil
}

func resourcesOf(ctx context.Context, client *kubeapi.Client, base, group string) ([]collection, error) {
	var list struct {
		Resources []struct {
			Name  string   `json:"name"`
			Verbs []string `json:"verbs"`
		} `json:"resources"`
	}
	if err := client.Get(ctx, base, nil, "", &list); err != nil {
		return nil, err
	}
	var found []collection
	for _, resource := range list.Resources {
		if strings.Contains(resource.Name, "/") || !slices.Contains(resource.Verbs, "list") || !slices.Contains(resource.Verbs, "patch") {
			continue
		}
		name := resource.Name
		if group != "" {
			name += "." + group
		}
		found = append(found, collection{name: name, path: base + "/" + resource.Name, base: base, plural: resource.Name})
	}
	return found, nil
}

// pace limits the number of writes per second.
type pace struct {
	every time.Duration
	next  time.Time
}

func newPace(rate float64) *pace {
	if rate <= 0 {
		return &pace{}
	}
	return &pace{every: time.Duration(float64(time.Second) / rate)}
}

func (p *pace) wait(ctx context.Context) error {
	now := time.Now() //nolint:forbidigo // it measures how long something takes
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(p.every)
	if wait <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}
