package execsigner

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	version = 1

	opPublicKey = "public-key"
	opSign      = "sign"

	fieldPublicKey = "public_key"
	fieldSignature = "signature"
	fieldError     = "error"

	paddingPKCS1 = "pkcs1v15"
	paddingPSS   = "pss"

	// maxMembers leaves room for later versions. It is checked before names are compared.
	maxMembers = 32

	// maxResponse is far larger than a signature of RSA-8192 or a public key in base64.
	maxResponse = 64 << 10
)

// request is a request to a plugin. The package comment specifies it.
type request struct {
	Version int    `json:"version"`
	Op      string `json:"op"`
	Key     string `json:"key"`
	Hash    string `json:"hash,omitempty"`
	Digest  []byte `json:"digest,omitzero"`
	Padding string `json:"padding,omitempty"`
	Message []byte `json:"message,omitzero"` // omitted when nil; there is an empty message
}

// encode writes the request as one line.
func (r request) encode() ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // plugins log requests, and people read them
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err) // unreachable: it has text and numbers only
	}
	return line.Bytes(), nil
}

// refusalError has the message of a plugin that refused a request.
type refusalError struct{ text string }

func (e *refusalError) Error() string {
	const most = 1024
	if len(e.text) > most {
		return fmt.Sprintf("the plugin says: %q…", e.text[:most])
	}
	return fmt.Sprintf("the plugin says: %q", e.text)
}

// parseResponse returns the bytes of the one field that answers a request, or a
// *refusalError. Its other errors do not quote values, because a program that is not a plugin may print
// anything, such as a key.
func parseResponse(data []byte, field string) ([]byte, error) {
	members, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	// First of all, so that a response of a later version is not called a bad one of this.
	if err := checkVersion(members); err != nil {
		return nil, err
	}
	var answer, refusal *member
	for i, m := range members {
		switch m.name {
		case "version":
		case field:
			answer = &members[i]
		case fieldError:
			refusal = &members[i]
		default:
			return nil, fmt.Errorf("an unknown field %.40q", m.name)
		}
	}
	switch {
	case answer != nil && refusal != nil:
		return nil, fmt.Errorf("both a %s and an error", field)
	case refusal != nil:
		text, ok := refusal.value.(string)
		if !ok || strings.TrimSpace(text) == "" {
			return nil, errors.New("an error that is no text, or empty")
		}
		return nil, &refusalError{strings.TrimSpace(text)}
	case answer == nil:
		return nil, fmt.Errorf("neither a %s nor an error", field)
	}
	text, ok := answer.value.(string)
	// The decoder skips line breaks.
	if !ok || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("a %s that is not in base64", field)
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(decoded) == 0 {
		return nil, fmt.Errorf("a %s that is not in base64, with padding, or is empty", field)
	}
	return decoded, nil
}

func checkVersion(members []member) error {
	at := slices.IndexFunc(members, func(m member) bool { return m.name == "version" })
	if at < 0 {
		return errors.New("no version")
	}
	if n, ok := members[at].value.(json.Number); !ok || n.String() != "1" {
		return fmt.Errorf("another version of the protocol than %d", version)
	}
	return nil
}

// member is a name and a value, a string or a json.Number, of a JSON object.
type member struct {
	name  string
	value any
}

// parseObject reads exactly one flat JSON object. It reads token by token, because json.Unmarshal
// accepts names in any case, and the last one of several equal names.
func parseObject(data []byte) ([]member, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("there is none")
	}
	if !utf8.Valid(data) {
		return nil, errors.New("not in UTF-8")
	}
	notJSON := errors.New("not one JSON object")
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, notJSON
	}
	var members []member
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, notJSON
		}
		if slices.ContainsFunc(members, func(m member) bool { return m.name == name }) {
			return nil, fmt.Errorf("the field %.40q twice", name)
		}
		value, err := decoder.Token()
		if err != nil {
			return nil, notJSON
		}
		switch value.(type) {
		case string, json.Number:
		default:
			return nil, fmt.Errorf("a field %.40q that is neither text nor a number", name)
		}
		if len(members) == maxMembers {
			return nil, fmt.Errorf("more than %d fields", maxMembers)
		}
		members = append(members, member{name, value})
	}
	if end, err := decoder.Token(); err != nil || end != json.Delim('}') {
		return nil, notJSON
	}
	if rest := data[decoder.InputOffset():]; len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("data after the JSON object; the response must be one object")
	}
	return members, nil
}
