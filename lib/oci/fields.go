package oci

import "encoding/json"

// Fields returns the config's values without annotations, by key, each as canonical JSON. Keys of
// the execution config start with "config.", and each label has its own key, "config.Labels.NAME".
// Configs with equal fields result in the same image config.
func (c *Config) Fields() (map[string]string, error) {
	values := map[string]any{}
	platform, err := json.Marshal(platformOf(c))
	if err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(platform, &keys); err != nil {
		return nil, err
	}
	for key, value := range keys {
		values[key] = value
	}
	if c.Author != "" {
		values["author"] = c.Author
	}
	if c.Created != nil {
		values["created"] = utc(c.Created)
	}
	for key, value := range c.exec {
		values["config."+key] = value
	}
	for name, value := range c.Labels {
		values["config.Labels."+name] = value
	}
	fields := make(map[string]string, len(values))
	for key, value := range values {
		data, err := canonical(value)
		if err != nil {
			return nil, err
		}
		fields[key] = string(data)
	}
	return fields, nil
}
