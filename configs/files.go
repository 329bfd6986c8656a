package configs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// fileName takes the name of a file that must be there, relative to the folder of the configuration, or nothing.
func (d *decoder) fileName(s string) (string, string) {
	name := d.absolute(s)
	if s == "" {
		return "", ""
	}
	d.named = append(d.named, name)
	if d.filesKnown {
		return name, ""
	}
	if err := keyfiles.CheckRegular(name); err != nil {
		return "", fmt.Sprintf(ruleFile, err)
	}
	return name, ""
}

// folderName takes the name of a folder that is there or will be made, relative to the folder of the configuration, or
// nothing.
func (d *decoder) folderName(s string) (string, string) {
	name := d.absolute(s)
	switch info, err := os.Stat(name); {
	case s == "":
		return "", ""
	case d.filesKnown:
	case err == nil && !info.IsDir():
		return "", fmt.Sprintf(ruleFolder, "it is a file")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Sprintf(ruleFolder, keyfiles.Unwrapped(err))
	}
	return name, ""
}

// logName takes the name of a file that is there or will be made, relative to the folder of the configuration, or the
// word for standard output, or nothing. What is there may be a device or a named pipe, too.
func (d *decoder) logName(s string) (string, string) {
	if s == "" || s == AccessLogStdout {
		return s, ""
	}
	name := d.absolute(s)
	if d.filesKnown {
		return name, ""
	}
	if _, err := os.Stat(filepath.Dir(name) + "/."); err != nil {
		return "", fmt.Sprintf(ruleLogFile, keyfiles.Unwrapped(err))
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return "", fmt.Sprintf(ruleLogFile, "it is a folder")
	}
	return name, ""
}

func (d *decoder) absolute(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(d.file), name)
}

// content reads a file that path names.
func (d *decoder) content(path, name string) ([]byte, bool) {
	if d.filesKnown {
		return nil, false
	}
	data, err := keyfiles.Read(name)
	switch {
	case err != nil:
		d.problem(path, fmt.Sprintf(ruleFile, err))
	case len(data) > maxFile:
		d.problem(path, fmt.Sprintf(ruleTooLarge, maxFile))
	default:
		return data, true
	}
	return nil, false
}

// checkPair loads a certificate and its key, so that a pair that does not fit is found before a reload needs it. It
// returns the leaf; nil if there is none.
func (d *decoder) checkPair(certificatePath, certificate, keyPath, key string) *x509.Certificate {
	if certificate == "" || key == "" {
		return nil
	}
	certificatePEM, ok := d.content(certificatePath, certificate)
	keyPEM, ok2 := d.content(keyPath, key)
	if !ok || !ok2 {
		return nil
	}
	pair, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		d.problem(certificatePath, fmt.Sprintf(rulePair, err))
	}
	return pair.Leaf
}

// fileOrSystem takes the name of a file, or the word for the system's own authorities.
func (d *decoder) fileOrSystem(s string) (string, string) {
	if s == keyfiles.SystemRoots {
		return s, ""
	}
	return d.fileName(s)
}

// checkTrust wants certificates in every file.
func (d *decoder) checkTrust(_ *Config, path string, t keyfiles.Trust) {
	for i, name := range t {
		at := path
		if len(t) > 1 {
			at = item(path, i)
		}
		if name == keyfiles.SystemRoots {
			continue
		}
		if pem, ok := d.content(at, name); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			d.problem(at, ruleNoCertificate)
		}
	}
}

// checkCredentials wants what logins are read from. What it holds is repeated nowhere.
func (d *decoder) checkCredentials(_ *Config, path, name string) {
	if name == "" {
		return
	}
	var logins struct {
		Auths   map[string]json.RawMessage `json:"auths"`
		Store   string                     `json:"credsStore"`
		Helpers map[string]string          `json:"credHelpers"`
	}
	if data, ok := d.content(path, name); ok && json.Unmarshal(data, &logins) != nil {
		d.problem(path, ruleLogins)
	}
}
