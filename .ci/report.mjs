// What all test runs that left a report in the folder say together: `report.mjs FOLDER count` prints the number of failed tests,
// `report.mjs FOLDER tell OTHERS` each failed test with its error, and the sum, to which OTHERS failures are added.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const longestError = 1500;
const [folder, task, others = '0'] = process.argv.slice(2);
const reports = readdirSync(folder).map(name => JSON.parse(readFileSync(join(folder, name), 'utf8')));

const failures = reports.flatMap(report =>
  report.testResults.flatMap(file => {
    const name = relative(process.cwd(), file.name);
    const tests = file.assertionResults.filter(test => test.status === 'failed');
    // a file that could not be loaded, or whose preparation failed
    if (file.status === 'failed' && tests.length === 0) return [{ name, error: file.message }];
    return tests.map(test => ({ name: `${name} > ${test.fullName}`, error: test.failureMessages.join('\n') }));
  }),
);

if (task === 'count') {
  console.log(failures.length);
} else {
  for (const { name, error } of failures) {
    const text = stripVTControlCharacters(error).slice(0, longestError);
    console.log(`\nFAILED ${name}\n${text.replaceAll(/^/gm, '    ')}`);
  }
  const passed = reports.reduce((sum, report) => sum + report.numPassedTests, 0);
  console.log(`\n${passed} passed, ${failures.length + Number(others)} failed`);
}
