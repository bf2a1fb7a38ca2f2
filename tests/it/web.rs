//! The page and the JSON API: what they show in good and bad times, to whom, and under which headers.

mod contract;
mod contrast;
mod hostile;
mod html;
mod http;
mod live;
mod pages;
mod sample;
mod site;
mod size;
