package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

// ReadFile works out the settings of one file alone: the manifest of a Pod, a systemd service,
// etcd's configuration file or an environment file. Of the files that it names, ReadFile reads only the
// environment files of a unit: below the root of the host where the unit is in one of systemd's folders,
// otherwise on this machine.
func ReadFile(name string) ([]*audit.Settings, error) {
	target, err := filepath.EvalSymlinks(name) // what the operator names may be anywhere
	if err != nil {
		return nil, fmt.Errorf("%s: %s", name, explainError(err))
	}
	t, err := openTree(filepath.Dir(target))
	if err != nil {
		return nil, err
	}
	defer t.close()
	data, err := t.readFile(filepath.Base(target), maxFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", name, explainError(err))
	}
	invs, err := parseAny(name, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var found []*audit.Settings
	for _, inv := range invs {
		if inv.program != etcd {
			continue
		}
		inv.origin = name + inv.container
		s := inv.settings("")
		s.Remote = true
		found = append(found, s)
	}
	for _, inv := range invs {
		if inv.program == kubeAPIServer {
			inv.origin = name
			for _, s := range found {
				s.APIServer = inv.settings("")
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no etcd in it: want a Pod that runs etcd, a systemd service of etcd, etcd's configuration file, or a file of ETCD_ variables", name)
	}
	return found, nil
}

// parseAny recognises the kind of a file by its content.
func parseAny(name string, data []byte) ([]*invocation, error) {
	offline := func() *view { return &view{elsewhere: errOffline, dir: "/"} }
	text := string(data)
	var object struct {
		Kind string `json:"kind"`
	}
	var mapping map[string]json.RawMessage
	asJSON, yamlErr := yaml.YAMLToJSON(data)
	isMapping := yamlErr == nil && json.Unmarshal(asJSON, &mapping) == nil && len(mapping) > 0
	switch {
	case hasLine(text, func(line string) bool { return line == "[Service]" }):
		u := &unit{}
		unitName := path.Base(filepath.ToSlash(name))
		u.apply(parseUnit(data), specifiersOf(unitName, ""))
		inv := u.invocation(nil)
		if inv == nil {
			return nil, errors.New("a systemd service of another program than etcd")
		}
		unread, err := readEnvironment(u, name)
		if err != nil {
			return nil, err
		}
		if inv = u.invocation(nil); inv == nil { // with what those files put into the command line
			return nil, errors.New("a systemd service of another program than etcd")
		}
		inv.view, inv.faults = offline(), append(inv.faults, unread...)
		return []*invocation{inv}, nil
	case isMapping && json.Unmarshal(asJSON, &object) == nil && object.Kind != "":
		invs, err := parsePod(data, nil)
		for _, inv := range invs {
			inv.view.mounts, inv.view.elsewhere = nil, errOffline
		}
		return invs, err
	case isMapping:
		if _, _, err := parseConfigFile(name, data); err != nil {
			return nil, fmt.Errorf("etcd does not start with it: %w", err)
		}
		return []*invocation{{program: etcd, view: offline(), config: data}}, nil
	case hasLine(text, func(line string) bool { return strings.HasPrefix(line, etcdPrefix) && strings.Contains(line, "=") }):
		return []*invocation{{program: etcd, view: offline(), env: parseEnvironmentFile(data)}}, nil
	case yamlErr != nil:
		return nil, fmt.Errorf("not YAML: %s", strictyaml.Problem(yamlErr))
	default:
		return nil, nil
	}
}

// readEnvironment reads the environment files of a unit that lies at a path. It returns a fault for each
// that is missing, unless the unit allows that with a dash.
func readEnvironment(u *unit, at string) ([]audit.Fault, error) {
	if len(u.environmentFiles) == 0 {
		return nil, nil
	}
	root, err := rootOfUnit(at)
	if err != nil {
		return nil, err
	}
	t, err := openTree(root)
	if err != nil {
		return nil, err
	}
	defer t.close()
	_, faults := (&collector{host: t}).environmentFiles(u)
	return faults, nil
}

// rootOfUnit returns the root of the host whose folder of units has the file: the root of this machine
// where the file is in none.
func rootOfUnit(at string) (string, error) {
	absolute, err := filepath.Abs(at)
	if err != nil {
		return "", err
	}
	for _, dir := range unitDirs() {
		if root, found := strings.CutSuffix(filepath.Dir(absolute), dir); found {
			return filepath.Join("/", root), nil
		}
	}
	return "/", nil
}

func hasLine(text string, is func(line string) bool) bool {
	for line := range strings.Lines(text) {
		if is(strings.TrimSpace(line)) {
			return true
		}
	}
	return false
}

// PodHost lists the etcds of a Pod of a cluster.
type PodHost struct {
	Settings  []*audit.Settings
	Listeners []Listener
	Unreached []Unreached
}

// ReadPod works out the settings that a Pod declares for its etcds, and where they are reached
// from elsewhere. object is the JSON of the Pod, as an item of a list. A listener on every
// address is reached at the given one; a listener on the loopback address is not reached.
// ReadPod reads no file.
func ReadPod(object []byte, hostname, origin, address string) (PodHost, error) {
	var pod podManifest // an item of a list has no kind
	if err := json.Unmarshal(object, &pod); err != nil {
		return PodHost{}, errors.New("not the JSON of a Pod")
	}
	var h Host
	var found PodHost
	for _, inv := range pod.invocations(nil) {
		if inv.program != etcd {
			continue
		}
		inv.origin = origin + inv.container
		inv.view.mounts, inv.view.elsewhere = nil, errOffline
		s := inv.settings(hostname)
		s.Remote = true
		found.Settings = append(found.Settings, s)
		h.addListeners(&instance{invocation: inv, settings: s})
	}
	if len(found.Settings) == 0 {
		return PodHost{}, errors.New("no etcd in it")
	}
	found.Unreached = h.Unreached
	for _, l := range h.Listeners {
		host, port, err := net.SplitHostPort(l.Address)
		ip := net.ParseIP(host)
		switch {
		case err != nil:
			continue
		case host == "localhost" || ip != nil && ip.IsLoopback():
			if !listensEverywhere(l.Of, port) {
				found.Unreached = append(found.Unreached, Unreached{
					URL: l.Address, Kind: l.Kind, Of: l.Of, Elsewhere: true, Reason: "it is on the loopback address of " + hostname + ": run etcdsec audit run there",
				})
				continue
			}
			l.Address = net.JoinHostPort(address, port)
		}
		found.Listeners = append(found.Listeners, l)
	}
	return found, nil
}

// listensEverywhere reports whether the settings have a listener at a port of the unspecified
// address.
func listensEverywhere(s *audit.Settings, port string) bool {
	for _, flag := range []string{"listen-client-urls", "listen-client-http-urls", "listen-peer-urls", "listen-metrics-urls"} {
		for _, written := range s.URLs(flag) {
			u, err := url.Parse(written)
			if err != nil || u.Port() != port {
				continue
			}
			if ip := net.ParseIP(u.Hostname()); u.Hostname() == "" || ip != nil && ip.IsUnspecified() {
				return true
			}
		}
	}
	return false
}
