package host

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

// parseConfigFile reads etcd's configuration file with the library that etcd uses. It is as
// strict as etcd: a value of a kind that etcd does not want is an error, because etcd then does
// not start. A key that etcd does not know has no effect and is a fault, whose subject has the
// file's path. If a key is given twice, the last one counts.
func parseConfigFile(file string, data []byte) ([]written, []audit.Fault, error) {
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, nil, fmt.Errorf("not YAML: %s", strictyaml.Problem(err))
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(asJSON, &top); err != nil {
		return nil, nil, fmt.Errorf("not a mapping of settings")
	}
	var settings []written
	var faults []audit.Fault
	unknown := func(key, reason string) {
		faults = append(faults, audit.Fault{Subject: makePrintable(file + ": " + key), Reason: reason})
	}
	for _, key := range orderedKeys(top) {
		lower := strings.ToLower(key)
		want, found := fileKey(key)
		switch {
		case !found:
			unknown(key, explainIneffective(lower))
		case lower == "client-transport-security" || lower == "peer-transport-security":
			below, err := securitySettings(lower, top[key], unknown)
			if err != nil {
				return nil, nil, err
			}
			settings = append(settings, below...)
		case want == isMapping: // of no interest here, but it has to be one
			if _, err := flagText(top[key], want); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", key, err)
			}
		default:
			value, err := flagText(top[key], want)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", key, err)
			}
			settings = replaceSetting(settings, written{lower, value})
		}
	}
	return settings, faults, nil
}

// explainIneffective explains why a key has no effect, and where it would have one.
func explainIneffective(key string) string {
	for _, s := range securityKeys() {
		switch key {
		case s.client:
			return "etcd reads it only below client-transport-security, as " + s.key + "; here it has no effect"
		case s.peer:
			return "etcd reads it only below peer-transport-security, as " + s.key + "; here it has no effect"
		}
	}
	if isKnownFlag(key) {
		return "etcd takes it as a flag or from the environment, and not from a configuration file; it has no effect"
	}
	return "etcd has no such setting; it has no effect"
}

// securitySettings reads the keys below client-transport-security or peer-transport-security.
func securitySettings(section string, data json.RawMessage, unknown func(key, reason string)) ([]written, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, fmt.Errorf("%s: want %s", section, isMapping)
	}
	var settings []written
	for _, key := range orderedKeys(keys) {
		at := -1
		for i, s := range securityKeys() {
			if strings.EqualFold(s.key, key) {
				at = i
			}
		}
		if at < 0 {
			unknown(section+"."+key, "etcd has no such setting; it has no effect")
			continue
		}
		s := securityKeys()[at]
		value, err := flagText(keys[key], s.kind)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", section, key, err)
		}
		name := s.client
		if section == "peer-transport-security" {
			name = s.peer
		}
		settings = replaceSetting(settings, written{name, value})
	}
	return settings, nil
}

// replaceSetting adds a setting in place of the one with its name. An empty value is no
// setting: etcd then uses its default.
func replaceSetting(settings []written, w written) []written {
	settings = slices.DeleteFunc(settings, func(other written) bool { return other.name == w.name })
	if w.value == "" {
		return settings
	}
	return append(settings, w)
}

// orderedKeys returns the keys of a mapping in the order of their bytes. Keys that differ only
// in case are one key to etcd, and which of them it takes is not defined.
func orderedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	return sortText(keys)
}

// flagText converts a value to the text that a flag would have.
func flagText(data json.RawMessage, want kind) (string, error) {
	if string(data) == "null" {
		return "", nil
	}
	wrong := fmt.Errorf("want %s", want)
	switch want {
	case isText:
		var s string
		if json.Unmarshal(data, &s) != nil {
			return "", fmt.Errorf("%w; a number is put in quotes", wrong)
		}
		return s, nil
	case isBoolean:
		var b bool
		if json.Unmarshal(data, &b) != nil {
			return "", fmt.Errorf("%w, without quotes", wrong)
		}
		return strconv.FormatBool(b), nil
	case isNumber:
		var n json.Number
		if data[0] == '"' || json.Unmarshal(data, &n) != nil {
			return "", wrong
		}
		return n.String(), nil
	case isList:
		var list []string
		if json.Unmarshal(data, &list) != nil {
			return "", wrong
		}
		return strings.Join(list, ","), nil
	default:
		var m map[string]json.RawMessage
		if json.Unmarshal(data, &m) != nil {
			return "", wrong
		}
		return "", nil
	}
}
