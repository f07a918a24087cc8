package host

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

// podManifest is the part of a Pod (k8s.io/api/core/v1) that is read.
type podManifest struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		HostPID         *bool           `json:"hostPID"`
		HostIPC         *bool           `json:"hostIPC"`
		SecurityContext securityContext `json:"securityContext"`
		Containers      []podContainer  `json:"containers"`
		InitContainers  []podContainer  `json:"initContainers"`
		Volumes         []struct {
			Name     string `json:"name"`
			HostPath *struct {
				Path string `json:"path"`
			} `json:"hostPath"`
		} `json:"volumes"`
	} `json:"spec"`
}

type podContainer struct {
	Name       string   `json:"name"`
	Image      string   `json:"image"`
	Command    []string `json:"command"`
	Args       []string `json:"args"`
	WorkingDir string   `json:"workingDir"`
	// RestartPolicy is of an init container alone.
	RestartPolicy string `json:"restartPolicy"`
	Env           []struct {
		Name      string         `json:"name"`
		Value     string         `json:"value"`
		ValueFrom map[string]any `json:"valueFrom"`
	} `json:"env"`
	EnvFrom         []map[string]any `json:"envFrom"`
	SecurityContext securityContext  `json:"securityContext"`
	VolumeMounts    []struct {
		Name      string `json:"name"`
		MountPath string `json:"mountPath"`
		SubPath   string `json:"subPath"`

		SubPathExpr string `json:"subPathExpr"`
	} `json:"volumeMounts"`
}

// parsePod reads a static Pod's manifest as the kubelet does: YAML or JSON, the first document.
// A manifest of another kind is an error.
// Scripts are read below host, which is nil where no file is to be read.
func parsePod(data []byte, host *tree) ([]*invocation, error) {
	var pod podManifest
	if err := yaml.Unmarshal(data, &pod); err != nil {
		return nil, fmt.Errorf("not the YAML of a Pod: %s", strictyaml.Problem(err))
	}
	if pod.Kind != "Pod" {
		return nil, fmt.Errorf("of kind %q, and not a Pod", shorten(pod.Kind))
	}
	return pod.invocations(host), nil
}

func (pod podManifest) invocations(host *tree) []*invocation {
	outside := map[string]string{} // the volumes that are of the host
	for _, v := range pod.Spec.Volumes {
		if v.HostPath != nil && path.IsAbs(v.HostPath.Path) {
			outside[v.Name] = path.Clean(v.HostPath.Path)
		}
	}
	var found []*invocation
	for _, container := range pod.containers() {
		v := &view{host: host, elsewhere: errInImage, dir: container.WorkingDir}
		for _, m := range container.VolumeMounts {
			if !path.IsAbs(m.MountPath) {
				continue
			}
			on := outside[m.Name]
			if m.SubPathExpr != "" { // the kubelet fills in the variables
				on = ""
			}
			if on != "" {
				on = path.Join(on, m.SubPath)
			}
			v.mounts = append(v.mounts, mount{path.Clean(m.MountPath), on})
		}
		for _, inv := range container.invocations(v) {
			inv.sandbox, inv.view = pod.sandbox(container), v
			found = append(found, inv)
		}
	}
	for _, inv := range found {
		if countOf(found, inv.program) == 1 {
			inv.container = ""
		}
	}
	return found
}

// containers returns the containers that keep running.
func (pod podManifest) containers() []podContainer {
	all := pod.Spec.Containers
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy == "Always" { // a sidecar (KEP 753)
			all = append(all[:len(all):len(all)], c)
		}
	}
	return all
}

// invocations returns how a container starts programs; none if it starts others.
func (c podContainer) invocations(v *view) []*invocation {
	var env []variable
	left := maxFile      // to expand to: each variable can double the one before it
	var unknown []string // variables that the kubelet fills in
	for _, v := range c.Env {
		if v.ValueFrom != nil {
			unknown = append(unknown, v.Name)
			continue
		}
		env = append(env, variable{v.Name, expand(v.Value, env, &left)})
	}
	argv := slices.Concat(c.Command, c.Args)
	for i, word := range argv {
		argv[i] = expand(word, env, &left)
	}
	l := launch{argv: argv, env: env, unknown: unknown}
	if v.host != nil {
		l.readFile = func(name string) ([]byte, error) { return v.readFile(name, maxScript) }
	}
	found := l.follow()
	if len(found.invocations) == 0 {
		if inv := c.byImage(argv, env, found); inv != nil {
			found.invocations = append(found.invocations, inv)
		}
	}
	for _, inv := range found.invocations {
		inv.version, inv.container = imageVersion(c.Image), ", container "+makePrintable(c.Name)
		c.noteUnknown(inv, unknown, found.scripted)
	}
	return found.invocations
}

// byImage returns how the entry point of an image of etcd or kube-apiserver starts it. Docker Hub's
// and etcd's own put the flags behind it. Of what else such an image runs, only the names of other
// programs are known to start no etcd.
func (c podContainer) byImage(argv []string, env []variable, found launched) *invocation {
	program := imageProgram(c.Image)
	flagsOnly := len(c.Command) == 0 && !slices.ContainsFunc(c.Args, func(a string) bool { return !strings.HasPrefix(a, "-") })
	switch {
	case program == "":
		return nil
	case flagsOnly:
		st := start{program: program, args: knownArguments(argv), env: env}
		if !st.serves() {
			return nil
		}
		return st.invocation()
	case found.unclear == "" && (found.scripted || !startsSomething(argv)):
		return nil
	}
	what := found.unclear
	if what == "" {
		what = argv[0]
	}
	return &invocation{program: program, env: env, faults: []audit.Fault{{
		Reason: "the container runs " + shorten(what) + ", and what that makes of " + program + " is not known",
	}}}
}

// startsSomething reports whether a command of etcd's image may start etcd: neither its name nor
// that of its script says that it is for something else.
func startsSomething(argv []string) bool {
	at, _ := skipWrappers(knownArguments(argv))
	if at < 0 {
		return true
	}
	name := path.Base(argv[at])
	if slices.Contains(programs(), name) || slices.Contains([]string{"sleep", "tail", "cat", "echo", "true", "date", "cp", "mv", "rm", "ls", "tar"}, name) {
		return false // an etcd that is no member
	}
	about := strings.Join(argv[at:], " ")
	return !slices.ContainsFunc([]string{"etcdctl", "etcdutl", "snapshot", "backup", "restore", "defrag", "prestop", "probe", "health"}, func(other string) bool { return strings.Contains(about, other) })
}

// noteUnknown notes the settings that the manifest leaves to others. A script may set them anew, and
// there they are followed.
func (c podContainer) noteUnknown(inv *invocation, unknown []string, scripted bool) {
	if inv.program == etcd {
		if scripted {
			unknown = nil
		}
		for _, name := range unknown {
			if flag, ok := strings.CutPrefix(name, etcdPrefix); ok {
				inv.faults = append(inv.faults, audit.Fault{Subject: strings.ToLower(strings.ReplaceAll(flag, "_", "-")), Reason: "the kubelet fills in " + makePrintable(name)})
			}
		}
		if len(c.EnvFrom) > 0 {
			inv.faults = append(inv.faults, audit.Fault{Reason: "the manifest takes variables from a ConfigMap or Secret (envFrom)"})
		}
	}
}

// expand replaces $(NAME) by the value of a variable, and $$ by a dollar sign, as Kubernetes
// does. An unknown name stays as it is. left bounds how much all texts together may grow; when
// it is used up, every name stays.
func expand(text string, env []variable, left *int) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(text, '$')
		if at < 0 || at+1 == len(text) {
			return b.String() + text
		}
		b.WriteString(text[:at])
		text = text[at:]
		end := strings.IndexByte(text, ')')
		switch {
		case text[1] == '$':
			b.WriteByte('$')
			text = text[2:]
		case text[1] == '(' && end > 0:
			value, found := lookup(env, text[2:end])
			if !found || len(value) > *left {
				value = text[:end+1]
			} else {
				*left -= len(value)
			}
			b.WriteString(value)
			text = text[end+1:]
		default:
			b.WriteByte('$')
			text = text[1:]
		}
	}
}

// imageName returns the last part of an image reference, without tag and digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name, _, _ := strings.Cut(path.Base(image), ":")
	return name
}

// imageProgram returns the program that the entry point of an image starts; empty if it is another.
func imageProgram(image string) string {
	name := imageName(image)
	for _, arch := range []string{"-amd64", "-arm64", "-arm", "-ppc64le", "-s390x"} {
		name = strings.TrimSuffix(name, arch)
	}
	for _, program := range programs() {
		if name == program || strings.HasSuffix(name, "-"+program) { // hardened-etcd of RKE2
			return program
		}
	}
	return ""
}

func imageVersion(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(path.Base(image), ":")
	return releaseOf(tag)
}

// manifests finds the static Pods. The kubelet reads every file of the folder whose name does
// not begin with a dot, whatever its extension: etcd.yaml.bak runs too.
func (c *collector) manifests(dirs []string) []*invocation {
	var found []*invocation
	for _, dir := range dirs {
		names, err := c.host.names(dir, maxNames)
		if err != nil {
			c.missUnlessAbsent(dir, err)
			continue
		}
		for _, name := range names {
			if strings.HasPrefix(name, ".") {
				continue
			}
			at := path.Join(dir, name)
			info, err := c.host.stat(at)
			if err == nil && info.IsDir() {
				continue
			}
			data, err := c.host.readFile(at, maxFile)
			switch {
			case err == nil:
			case info != nil && !info.Mode().IsRegular(): // the kubelet reads no such file either
				c.fault(at, err)
				continue
			default:
				c.miss(at, err)
				continue
			}
			invs, err := parsePod(data, c.host)
			switch {
			case err == nil:
			case namesProgram(name) || namesProgram(string(data)):
				c.miss(at, err)
			default:
				c.fault(at, err)
			}
			for _, inv := range invs {
				inv.origin = at + inv.container
				inv.files = []file{{at, audit.ManifestFile}}
				found = append(found, inv)
			}
		}
	}
	return found
}
