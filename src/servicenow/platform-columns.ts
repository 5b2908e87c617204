/**
 * Columns of the platform's own tables, which the probe itself has to use before any dictionary is known
 * (examples/servicenow/dictionary). Everything else is checked against the dictionary of the instance.
 */
const every = ['sys_id', 'sys_created_on', 'sys_updated_on', 'sys_mod_count', 'sys_created_by', 'sys_updated_by'];

export const platformColumns: Readonly<Record<string, ReadonlySet<string>>> = {
  sys_db_object: new Set([...every, 'name', 'label', 'super_class', 'super_class.name']),
  sys_dictionary: new Set([
    ...every,
    'name',
    'element',
    'internal_type',
    'max_length',
    'reference',
    'active',
    'mandatory',
    'read_only',
    'column_label',
  ]),
  sys_choice: new Set([...every, 'name', 'element', 'value', 'label', 'language', 'inactive']),
  cmdb_identifier: new Set([...every, 'name', 'applies_to', 'active', 'independent']),
  cmdb_identifier_entry: new Set([...every, 'identifier', 'attributes', 'active', 'order']),
  sys_rate_limit_rules: new Set([...every, 'name', 'active', 'request_limit']),
  cmdb_related_entry: new Set([...every, 'table', 'identifier', 'identifier.applies_to', 'referenced_field']),
  sys_user: new Set([
    ...every,
    'user_name',
    'name',
    'active',
    'locked_out',
    'web_service_access_only',
    'password_needs_reset',
    'sys_domain',
  ]),
  sys_user_role: new Set([...every, 'name']),
  sys_user_has_role: new Set([...every, 'user', 'user.user_name', 'role', 'role.name', 'inherited', 'state']),
  sys_properties: new Set([...every, 'name', 'value']),
  sys_data_source: new Set([...every, 'name']),
  sys_attachment: new Set([...every, 'table_name', 'table_sys_id', 'file_name', 'size_bytes', 'content_type', 'state']),
};
